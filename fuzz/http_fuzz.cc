// Everything of core/http that reads a peer's bytes. The first byte says how the rest is cut into
// pieces; the result must not depend on it. What is parsed is then put through everything that
// reads a head, and what is erased must be gone.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/assert.h"
#include "core/http/address.h"
#include "core/http/cookie.h"
#include "core/http/head.h"
#include "core/http/origin.h"
#include "core/http/query.h"
#include "core/http/route_pattern.h"
#include "core/http/subprotocol.h"
#include "core/http/upgrade.h"

namespace {

using namespace sallyport::http;

constexpr HeadLimits kLimits{.header_bytes = 2048, .fields = 20};

struct Outcome {
  std::optional<HeadError> error;
  std::optional<std::size_t> used;
  Head head;
};

Outcome read(std::string_view data, std::size_t piece) {
  HeadReader reader(kLimits);
  for (std::size_t at = 0; at < data.size(); at += piece) {
    const auto used = reader.feed(data.substr(at, piece));
    if (!used) return {.error = used.error()};
    if (*used) return {.used = at + **used, .head = reader.take()};
  }
  return {};
}

void check_views(const Head& head) {
  SALLYPORT_ASSERT(head.path().starts_with('/'));
  SALLYPORT_ASSERT(head.text().starts_with(head.method()));
  SALLYPORT_ASSERT(head.text().ends_with("\r\n\r\n"));
  for (std::size_t i = 0; i < head.field_count(); ++i) {
    const Head::Field field = head.field(i);
    SALLYPORT_ASSERT(!field.name.empty());
    SALLYPORT_ASSERT(head.find(field.name).has_value());
    SALLYPORT_ASSERT(field.value.find_first_of("\r\n") == std::string_view::npos);
  }
}

// Whatever has been erased, the text must still be the head that the accessors describe.
void check_text(const Head& head) {
  check_views(head);
  const Outcome again = read(head.text(), head.text().size());
  SALLYPORT_ASSERT(again.used == head.text().size());
  SALLYPORT_ASSERT(again.head.target() == head.target());
  SALLYPORT_ASSERT(again.head.query() == head.query());
  SALLYPORT_ASSERT(again.head.field_count() == head.field_count());
  for (std::size_t i = 0; i < head.field_count(); ++i) {
    SALLYPORT_ASSERT(again.head.field(i).name == head.field(i).name);
    SALLYPORT_ASSERT(again.head.field(i).value == head.field(i).value);
  }
}

void check_upgrade(const Head& head) {
  const auto upgrade = validate_upgrade(head);
  if (!upgrade) return;
  const auto selected = select_subprotocol(upgrade->subprotocols, {});
  SALLYPORT_ASSERT(!selected || !is_credential_item(*selected));
}

void check_rules(const Head& head) {
  const auto origins = head.find_all("Origin");
  const auto policy = OriginPolicy::list(std::array{std::string("https://*.example.com")});
  SALLYPORT_ASSERT(policy.has_value());
  if (evaluate(*policy, origins, {}) == OriginDecision::kAllowed && !origins.empty()) {
    const auto origin = Origin::parse(origins.front());
    SALLYPORT_ASSERT(origin.has_value());
    SALLYPORT_ASSERT(origin->host().ends_with(".example.com"));
    SALLYPORT_ASSERT(Origin::parse(origin->text()) == origin);
  }
  static_cast<void>(host_is_loopback(head.host()));
  const auto pattern = RoutePattern::parse("/chat/:room");
  SALLYPORT_ASSERT(pattern.has_value());
  if (const auto params = pattern->match(head.raw_path())) {
    SALLYPORT_ASSERT(params->front().value.find('/') == std::string::npos);
    SALLYPORT_ASSERT("/chat/" + params->front().value == head.path());
  }
  const auto rest = RoutePattern::parse("/*");
  SALLYPORT_ASSERT(rest && rest->match(head.raw_path()).has_value());
}

void erase_everything(Head& head) {
  head.erase_query_parameter("ticket");
  check_text(head);
  SALLYPORT_ASSERT(find_query_parameter(head.query().value_or(""), "ticket").value_or("") ==
                   std::nullopt);
  head.erase_list_items("Sec-WebSocket-Protocol", is_credential_item);
  check_text(head);
  head.erase_cookie("sid");
  check_text(head);
  const auto cookies = head.find_all("Cookie");
  SALLYPORT_ASSERT(find_cookie(cookies, "sid") == std::nullopt);
  head.erase_field("Authorization");
  check_text(head);
  SALLYPORT_ASSERT(head.count("Authorization") == 0);
}

void check_text_parsers(std::string_view text) {
  if (const auto address = IpAddress::parse(text)) {
    SALLYPORT_ASSERT(IpAddress::parse(address->text()) == address);
  }
  if (const auto block = CidrBlock::parse(text)) {
    const auto again = CidrBlock::parse(block->text());
    SALLYPORT_ASSERT(again && *again == *block);
  }
  if (const auto origin = Origin::parse(text)) {
    SALLYPORT_ASSERT(Origin::parse(origin->text()) == origin);
  }
  if (const auto pattern = RoutePattern::parse(text)) {
    SALLYPORT_ASSERT(*pattern == *RoutePattern::parse(pattern->text()));
  }
  static_cast<void>(host_is_loopback(text));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size == 0) return 0;
  const std::size_t piece = std::size_t{bytes[0]} + 1;
  const std::string_view data(reinterpret_cast<const char*>(bytes) + 1, size - 1);
  check_text_parsers(data);

  Outcome whole = read(data, data.size() + 1);
  const Outcome pieces = read(data, piece);
  SALLYPORT_ASSERT(whole.error == pieces.error);
  SALLYPORT_ASSERT(whole.used == pieces.used);
  SALLYPORT_ASSERT(whole.head.text() == pieces.head.text());
  if (!whole.used) return 0;
  check_text(whole.head);
  check_upgrade(whole.head);
  check_rules(whole.head);
  erase_everything(whole.head);
  return 0;
}
