// What proxies say about the client: PROXY protocol headers, X-Forwarded-For and Forwarded. A header that is cut
// anywhere gives the same answer or none yet; what a client writes never decides what a proxy that appends says.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/assert.h"
#include "core/http/forwarded.h"
#include "core/http/proxy_protocol.h"

namespace {

using namespace sallyport::http;

void check_every_split(std::string_view data) {
  const ProxyHeader whole = parse_proxy_header(data);
  if (whole.kind == ProxyHeader::Kind::kPresent) {
    SALLYPORT_ASSERT(whole.bytes <= data.size());
    SALLYPORT_ASSERT(parse_proxy_header(data.substr(0, whole.bytes)) == whole);
  }
  for (std::size_t size = 0; size <= data.size(); ++size) {
    const ProxyHeader part = parse_proxy_header(data.substr(0, size));
    if (part.kind != ProxyHeader::Kind::kNeedMore) {
      SALLYPORT_ASSERT(part == whole);
      break;  // from here on all are the same
    }
    SALLYPORT_ASSERT(part.bytes > size);
    SALLYPORT_ASSERT(part.bytes <= kProxyHeaderBytesMax);
    SALLYPORT_ASSERT(whole.kind != ProxyHeader::Kind::kPresent || part.bytes <= whole.bytes);
  }
}

void check_forwarded(const std::string& text) {
  static const std::array trusted{*CidrBlock::parse("10.0.0.0/8")};
  static const IpAddress proxy = *IpAddress::parse("10.0.0.1");
  static const IpAddress client = *IpAddress::parse("192.0.2.1");
  const std::string x = text + ", 192.0.2.1";
  const std::string standard = text + ",for=\"192.0.2.1:7\";by=_b";
  const std::array<std::string_view, 1> x_values{x};
  const std::array<std::string_view, 1> standard_values{standard};
  const std::array<std::string_view, 1> values{text};
  const auto ask = [](const IpAddress& peer, ForwardedFields fields) {
    return client_address(peer, trusted, fields);
  };
  SALLYPORT_ASSERT(ask(proxy, {.x_forwarded_for = x_values, .forwarded = {}}) == client);
  SALLYPORT_ASSERT(ask(proxy, {.x_forwarded_for = {}, .forwarded = standard_values}) == client);
  SALLYPORT_ASSERT(ask(proxy, {.x_forwarded_for = x_values, .forwarded = standard_values}) == client);
  SALLYPORT_ASSERT(ask(client, {.x_forwarded_for = values, .forwarded = values}) == client);
  SALLYPORT_ASSERT(ask(proxy, {.x_forwarded_for = values, .forwarded = {}}).has_value());
  SALLYPORT_ASSERT(ask(proxy, {.x_forwarded_for = {}, .forwarded = values}).has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::string data(reinterpret_cast<const char*>(bytes), size);
  check_every_split(data);
  check_forwarded(data);
  return 0;
}
