#include "core/http/origin.h"

#include <algorithm>
#include <boost/url/parse.hpp>
#include <boost/url/url_view.hpp>
#include <optional>

#include "core/http/address.h"
#include "core/http/grammar.h"
#include "core/http/target.h"

namespace sallyport::http {
namespace {

constexpr std::size_t kHostBytesMax = 253;  // RFC 1035 section 3.1, without the root's dot
constexpr std::size_t kLabelBytesMax = 63;

std::uint16_t default_port(std::string_view scheme) noexcept {
  if (scheme == "https") return 443;
  if (scheme == "http") return 80;
  return 0;
}

// Lower-case labels. The underscore is in no host name by RFC 952 and in many by custom.
bool is_host_name(std::string_view host) noexcept {
  if (host.empty() || host.size() > kHostBytesMax) return false;
  Splitter labels(host, '.');
  while (const auto label = labels.next()) {
    if (label->empty() || label->size() > kLabelBytesMax) return false;
    const bool fine = std::ranges::all_of(*label, [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    });
    if (!fine) return false;
  }
  return true;
}

// An IPv6 host in canonical form; nothing if it is none. A mapped IPv4 address is not accepted: it
// would be the other spelling of another origin.
std::optional<std::string> canonical_ipv6(std::string_view host) {
  if (!host.starts_with('[') || !host.ends_with(']')) return std::nullopt;
  const auto address = IpAddress::parse(host.substr(1, host.size() - 2));
  if (!address || address->is_v4()) return std::nullopt;
  return "[" + address->text() + "]";
}

std::optional<std::uint16_t> port_of(const boost::urls::url_view& url) {
  const std::string_view text = url.port();
  const std::uint16_t number = url.port_number();
  if (number == 0 || text != std::to_string(number)) return std::nullopt;
  return number;
}

bool is_ip_host(const std::string& host) {
  return host.starts_with('[') || IpAddress::parse(host).has_value();
}

}  // namespace

std::string_view describe(OriginError error) noexcept {
  switch (error) {
    case OriginError::kEmpty:
      return "it is empty";
    case OriginError::kNull:
      return "null is not an origin that can be told from another";
    case OriginError::kTooLong:
      return "it is too long";
    case OriginError::kMalformed:
      return "an origin is scheme://host or scheme://host:port";
    case OriginError::kHasMore:
      return "an origin has no user, path, query or fragment: it ends with the host or port";
    case OriginError::kHost:
      return "the host is not a name or address (no trailing dot, no other characters than ASCII)";
  }
  return "unknown";
}

std::expected<Origin, OriginError> Origin::parse(std::string_view text) {
  if (text.empty()) return std::unexpected(OriginError::kEmpty);
  if (text == "null") return std::unexpected(OriginError::kNull);
  if (text.size() > kOriginBytesMax) return std::unexpected(OriginError::kTooLong);
  const auto parsed = boost::urls::parse_uri(boost::urls::string_view(text.data(), text.size()));
  if (!parsed || !parsed->has_authority()) return std::unexpected(OriginError::kMalformed);
  const boost::urls::url_view& url = *parsed;
  const bool more =
      url.has_userinfo() || !url.encoded_path().empty() || url.has_query() || url.has_fragment();
  if (more) return std::unexpected(OriginError::kHasMore);

  Origin origin;
  origin.scheme_ = lower_case(std::string_view(url.scheme().data(), url.scheme().size()));
  const auto host = url.encoded_host();
  origin.host_ = lower_case(std::string_view(host.data(), host.size()));
  if (auto canonical = canonical_ipv6(origin.host_)) {
    origin.host_ = std::move(*canonical);
  } else if (!is_host_name(origin.host_)) {
    return std::unexpected(OriginError::kHost);
  }
  origin.port_ = default_port(origin.scheme_);
  if (url.has_port()) {
    const auto port = port_of(url);
    if (!port) return std::unexpected(OriginError::kMalformed);
    origin.port_ = *port;
  }
  return origin;
}

std::string Origin::text() const {
  std::string text = scheme_ + "://" + host_;
  if (port_ != default_port(scheme_)) text += ":" + std::to_string(port_);
  return text;
}

std::vector<Origin> loopback_origins(std::uint16_t port, bool tls) {
  std::vector<Origin> origins;
  for (const char* const host : {"127.0.0.1", "localhost", "[::1]"}) {
    const std::string text =
        std::string(tls ? "https" : "http") + "://" + host + ":" + std::to_string(port);
    if (auto origin = Origin::parse(text)) origins.push_back(std::move(*origin));
  }
  return origins;
}

OriginPolicy OriginPolicy::same(std::vector<Origin> origins) {
  OriginPolicy policy;
  for (Origin& origin : origins) policy.entries_.push_back({.origin = std::move(origin)});
  return policy;
}

std::expected<OriginPolicy, std::string> OriginPolicy::list(std::span<const std::string> entries) {
  OriginPolicy policy;
  for (const std::string& entry : entries) {
    const auto fail = [&](std::string_view why) {
      return std::unexpected("origin \"" + entry + "\": " + std::string(why));
    };
    constexpr std::string_view kMark = "://*.";
    const std::size_t mark = entry.find(kMark);
    const bool wildcard = mark != std::string::npos;
    // "https://*.example.com" without the asterisk and its dot is the origin that it extends.
    const std::string rest =
        wildcard ? entry.substr(0, mark + 3) + entry.substr(mark + kMark.size()) : entry;
    if (rest.find('*') != std::string::npos) {
      return fail(
          "an asterisk stands for one whole label at the start of the host, https://*.example.com");
    }
    auto origin = Origin::parse(rest);
    if (!origin) return fail(describe(origin.error()));
    if (wildcard) {
      if (is_ip_host(origin->host_)) return fail("an address has no labels for an asterisk");
      if (origin->host_.find('.') == std::string::npos) {
        return fail("an asterisk directly below a top-level domain would match anybody's site");
      }
    }
    policy.entries_.push_back({.origin = std::move(*origin), .wildcard = wildcard});
  }
  return policy;
}

OriginPolicy OriginPolicy::insecure_any() {
  OriginPolicy policy;
  policy.any_ = true;
  return policy;
}

bool OriginPolicy::matches(const Origin& origin) const noexcept {
  if (any_) return true;
  return std::ranges::any_of(entries_, [&](const Entry& entry) {
    if (!entry.wildcard) return entry.origin == origin;
    if (entry.origin.scheme_ != origin.scheme_ || entry.origin.port_ != origin.port_) return false;
    const std::size_t dot = origin.host_.find('.');
    // `parse` has refused empty labels, so a dot has a label in front of it.
    return dot != std::string::npos &&
           std::string_view(origin.host_).substr(dot + 1) == entry.origin.host_;
  });
}

OriginDecision evaluate(const OriginPolicy& policy, std::span<const std::string_view> origin_fields,
                        OriginDemand demand) noexcept {
  if (origin_fields.empty()) {
    return demand.required ? OriginDecision::kMissing : OriginDecision::kAllowed;
  }
  if (origin_fields.size() > 1) return OriginDecision::kRefused;
  const std::string_view text = origin_fields.front();
  if (policy.is_insecure_any() && !demand.ambient_credential &&
      (text == "null" || text == "file://")) {
    return OriginDecision::kAllowed;
  }
  const auto origin = Origin::parse(text);
  if (!origin || !policy.matches(*origin)) return OriginDecision::kRefused;
  return OriginDecision::kAllowed;
}

bool host_is_loopback(std::string_view host_field) {
  if (!is_authority(host_field)) return false;
  if (host_field.starts_with('[')) {
    const auto address = IpAddress::parse(host_field.substr(1, host_field.find(']') - 1));
    return address && !address->is_v4() && address->is_loopback();
  }
  const std::string_view host = host_field.substr(0, host_field.find(':'));
  if (equals_ignoring_case(host, "localhost")) return true;
  const auto address = IpAddress::parse(host);
  return address && address->is_v4() && address->is_loopback();
}

}  // namespace sallyport::http
