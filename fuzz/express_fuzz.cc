// What express-session sends and connect-redis stores: the first line is a cookie, the rest a session. A cookie that
// is accepted must be one that the secret signs; a session that is accepted names somebody and ends in the future.

#include <algorithm>
#include <boost/json/value.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/auth/express_cookie.h"
#include "core/auth/express_session.h"
#include "core/base/assert.h"
#include "core/base/digest.h"
#include "core/base/json.h"

namespace {

using namespace sallyport;

constexpr base::WallTime kNow{std::chrono::hours(500'000)};
constexpr std::string_view kSecretText = "keyboard cat";

void try_cookie(std::string_view value) {
  static const std::vector<base::Secret> secrets = [] {
    std::vector<base::Secret> list;
    list.emplace_back("another");
    list.emplace_back(kSecretText);
    return list;
  }();
  const auto id = auth::read_express_cookie(value, secrets);
  if (!id) {
    SALLYPORT_ASSERT(!describe(id.error()).empty());
    return;
  }
  const base::Sha256 mac = base::hmac_sha256(kSecretText, id->reveal());
  std::string again = base::base64({reinterpret_cast<const char*>(mac.data()), mac.size()});
  again.pop_back();
  const auto same = auth::read_express_cookie("s:" + std::string(id->reveal()) + "." + again, secrets);
  SALLYPORT_ASSERT(same.has_value());
  SALLYPORT_ASSERT(same->reveal() == id->reveal());
}

void try_session(std::string_view json, std::optional<base::Milliseconds> remaining) {
  const auto session =
      auth::read_express_session(json, {.subject = "/passport/user", .scopes = "/scopes"}, remaining, kNow);
  if (!session) {
    SALLYPORT_ASSERT(!describe(session.error()).empty());
    return;
  }
  SALLYPORT_ASSERT(!session->subject.empty());
  SALLYPORT_ASSERT(session->subject.size() <= 255);
  SALLYPORT_ASSERT(!session->expires_at || *session->expires_at > kNow);
  SALLYPORT_ASSERT(session->claims.size() <= std::size_t{8} * 1024);
  if (session->claims.empty()) return;
  const auto claims = base::parse_json(session->claims);
  SALLYPORT_ASSERT(claims.has_value());
  SALLYPORT_ASSERT(claims->is_object());
  SALLYPORT_ASSERT(!claims->get_object().contains("cookie"));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t end = std::min(text.find('\n'), text.size());
  try_cookie(text.substr(0, end));
  const std::string_view rest = text.substr(std::min(end + 1, text.size()));
  try_session(rest, std::nullopt);
  try_session(rest, base::Milliseconds(60'000));
  (void)auth::parse_json_date(text.substr(0, end));
  (void)auth::ExpressPaths::fault_of(text.substr(0, end));
  return 0;
}
