#include "feature/verifiers/answer.h"

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cmath>
#include <utility>
#include <vector>

#include "core/base/base64url.h"
#include "core/base/digest.h"
#include "core/base/json.h"
#include "core/base/secret.h"

namespace sallyport {
namespace {

namespace json = boost::json;

constexpr std::size_t kTextBytesMax = 255;
constexpr double kSecondsMax = 9007199254740992.0;  // 2^53

using Fault = std::unexpected<std::string_view>;

// Absent, or a text as an identity may be. Nothing: it is something else.
std::optional<std::string> read_text(const json::object& object, std::string_view name) {
  const json::value* const member = object.if_contains(name);
  if (member == nullptr || member->is_null()) return std::string();
  if (!member->is_string()) return std::nullopt;
  const std::string_view text = member->get_string();
  const bool printable = std::ranges::none_of(text, [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
  if (!printable || text.size() > kTextBytesMax) return std::nullopt;
  return std::string(text);
}

// A NumericDate (RFC 7519 section 2). False: it is there and is none.
bool read_time(const json::object& object, std::string_view name, std::optional<WallTime>& target) {
  const json::value* const member = object.if_contains(name);
  if (member == nullptr || member->is_null()) return true;
  if (!member->is_number()) return false;
  const double seconds = member->is_double()  ? member->get_double()
                         : member->is_int64() ? static_cast<double>(member->get_int64())
                                              : static_cast<double>(member->get_uint64());
  if (!(std::abs(seconds) < kSecondsMax)) return false;
  target = WallTime(std::chrono::milliseconds(static_cast<std::int64_t>(std::floor(seconds * 1000))));
  return true;
}

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    if (end > 0) words.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return words;
}

bool read_scopes(const json::object& object, std::vector<std::string>& scopes) {
  const json::value* const member = object.if_contains("scope");
  if (member == nullptr || member->is_null()) return true;
  if (const json::string* const text = member->if_string()) {
    scopes = split(*text);
    return true;
  }
  const json::array* const list = member->if_array();
  if (list == nullptr) return false;
  for (const json::value& scope : *list) {
    if (!scope.is_string()) return false;
    scopes.emplace_back(std::string_view(scope.get_string()));
  }
  return true;
}

bool read_confirmation(const json::object& object, Answer& answer) {
  const json::value* const member = object.if_contains("cnf");
  if (member == nullptr) return true;
  const json::object* const methods = member->if_object();
  if (methods == nullptr) return false;
  for (const auto& [name, value] : *methods) {
    if (name == "x5t#S256" && value.is_string()) {
      answer.certificate_sha256 = std::string(std::string_view(value.get_string()));
    } else {
      answer.bound_otherwise = true;
    }
  }
  return true;
}

}  // namespace

std::expected<Answer, std::string_view> parse_answer(std::string_view text) {
  const auto value = base::parse_json(text, {.bytes = kAnswerBytesMax, .depth = 8});
  if (!value || !value->is_object()) return Fault("the answer is not a JSON object");
  const json::object& object = value->get_object();
  Answer answer;
  if (const json::value* const active = object.if_contains("active")) {
    if (!active->is_bool()) return Fault("active is neither true nor false");
    answer.active = active->get_bool();
  }
  const auto subject = read_text(object, "sub");
  const auto issuer = read_text(object, "iss");
  const auto token_id = read_text(object, "jti");
  const auto session = read_text(object, "sid");
  const auto client = read_text(object, "client_id");
  if (!subject || !issuer || !token_id || !session || !client) {
    return Fault("sub, iss, jti, sid or client_id is not a short text");
  }
  answer.who.subject = *subject;
  answer.who.token_id = *token_id;
  answer.who.session = *session;
  answer.issuer = *issuer;
  answer.client_id = *client;
  if (!read_time(object, "exp", answer.who.expires_at) || !read_time(object, "iat", answer.who.issued_at) ||
      !read_time(object, "nbf", answer.not_before)) {
    return Fault("exp, iat or nbf is not a time");
  }
  answer.who.valid_until = answer.who.expires_at;
  if (!read_scopes(object, answer.who.scopes)) return Fault("scope is neither a text nor a list of texts");
  if (!read_confirmation(object, answer)) return Fault("cnf is not an object");
  answer.who.claims = text;
  return answer;
}

bool is_bound_to(std::string_view x5t_s256, std::string_view certificate) {
  if (certificate.empty()) return false;
  const base::Sha256 digest = base::sha256(certificate);
  return base::equal_constant_time(
      base::base64url_encode({reinterpret_cast<const char*>(digest.data()), digest.size()}), x5t_s256);
}

}  // namespace sallyport
