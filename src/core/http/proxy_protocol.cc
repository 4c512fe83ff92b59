#include "core/http/proxy_protocol.h"

#include <algorithm>
#include <array>

namespace sallyport::http {
namespace {

using Kind = ProxyHeader::Kind;

constexpr ProxyHeader kMalformed{.kind = Kind::kMalformed};

constexpr std::string_view kSignature1 = "PROXY ";
constexpr std::size_t kBytesMax1 = 107;  // section 2.1, its line ending included

constexpr std::string_view kSignature2{"\r\n\r\n\0\r\nQUIT\n", 12};
constexpr std::size_t kFixedBytes2 = 16;  // signature, command, family, length

ProxyHeader need(std::size_t bytes) noexcept { return {.kind = Kind::kNeedMore, .bytes = bytes}; }

bool begins_like(std::string_view prefix, std::string_view signature) noexcept {
  const std::size_t common = std::min(prefix.size(), signature.size());
  return prefix.substr(0, common) == signature.substr(0, common);
}

// ---- Version 1: a line of text

bool is_port(std::string_view text) noexcept {
  if (text.empty() || text.size() > 5 || (text.size() > 1 && text.front() == '0')) return false;
  unsigned value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  return value <= 65535;
}

std::optional<IpAddress> parse_address(std::string_view text, bool v6) {
  if ((text.find(':') != std::string_view::npos) != v6) return std::nullopt;
  return IpAddress::parse(text);
}

// What stands between "PROXY " and the end of the line.
ProxyHeader parse_words(std::string_view line, std::size_t bytes) {
  // Whatever follows UNKNOWN is to be ignored.
  if (line == "UNKNOWN" || line.starts_with("UNKNOWN ")) return {.kind = Kind::kPresent, .bytes = bytes};
  // Exactly one space between the words: protocol, source, destination, and their ports.
  std::array<std::string_view, 5> words;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::size_t end = line.find(' ');
    if ((end == std::string_view::npos) != (i + 1 == words.size())) return kMalformed;
    words[i] = line.substr(0, end);
    line.remove_prefix(std::min(line.size(), words[i].size() + 1));
  }
  const bool v6 = words[0] == "TCP6";
  if (!v6 && words[0] != "TCP4") return kMalformed;
  const auto source = parse_address(words[1], v6);
  if (!source || !parse_address(words[2], v6) || !is_port(words[3]) || !is_port(words[4])) {
    return kMalformed;
  }
  return {.kind = Kind::kPresent, .bytes = bytes, .source = source};
}

ProxyHeader parse_1(std::string_view prefix) {
  const std::string_view line = prefix.substr(0, kBytesMax1);
  const std::size_t end = line.find_first_of("\r\n");
  if (end == std::string_view::npos || (line[end] == '\r' && end + 1 == line.size())) {
    return line.size() < kBytesMax1 ? need(line.size() + 1) : kMalformed;
  }
  if (line.substr(end, 2) != "\r\n") return kMalformed;
  return parse_words(line.substr(kSignature1.size(), end - kSignature1.size()), end + 2);
}

// ---- Version 2: binary

std::uint8_t byte_at(std::string_view bytes, std::size_t index) noexcept {
  return static_cast<std::uint8_t>(bytes[index]);
}

template <std::size_t kSize>
std::array<std::uint8_t, kSize> leading(std::string_view bytes) noexcept {
  std::array<std::uint8_t, kSize> result;
  std::transform(bytes.begin(), bytes.begin() + kSize, result.begin(),
                 [](char c) { return static_cast<std::uint8_t>(c); });
  return result;
}

ProxyHeader parse_2(std::string_view prefix) {
  if (prefix.size() < kFixedBytes2) return need(kFixedBytes2);
  const std::size_t size = std::size_t{byte_at(prefix, 14)} * 256 + byte_at(prefix, 15);
  const std::size_t total = kFixedBytes2 + size;
  const std::uint8_t command = byte_at(prefix, 12);
  constexpr std::uint8_t kLocal = 0x20;  // version 2 in the upper half
  constexpr std::uint8_t kProxy = 0x21;
  if ((command != kLocal && command != kProxy) || total > kProxyHeaderBytesMax) return kMalformed;
  ProxyHeader header{.kind = Kind::kPresent, .bytes = total};
  const std::string_view block = prefix.substr(kFixedBytes2, size);
  const auto finish = [&](std::size_t least) -> std::optional<ProxyHeader> {
    if (size < least) return kMalformed;
    if (prefix.size() < total) return need(total);
    return std::nullopt;
  };
  // The proxy's own connection: the family is to be ignored (section 2.2).
  if (command == kLocal) return finish(0).value_or(header);
  switch (byte_at(prefix, 13)) {
    case 0x00: return finish(0).value_or(header);  // unspecified
    case 0x11:                                     // IPv4, stream and datagram: two addresses, two ports
    case 0x12:
      if (const auto other = finish(12)) return *other;
      header.source = IpAddress::from_v4(leading<4>(block));
      return header;
    case 0x21:  // IPv6
    case 0x22:
      if (const auto other = finish(36)) return *other;
      header.source = IpAddress::from_v6(leading<16>(block));
      return header;
    case 0x31:  // a unix socket's paths say nothing that a rule here could use
    case 0x32: return finish(216).value_or(header);
    default: return kMalformed;  // "must be rejected as invalid by receivers"
  }
}

}  // namespace

ProxyHeader parse_proxy_header(std::string_view prefix) noexcept {
  if (begins_like(prefix, kSignature1)) {
    return prefix.size() < kSignature1.size() ? need(prefix.size() + 1) : parse_1(prefix);
  }
  if (begins_like(prefix, kSignature2)) {
    return prefix.size() < kSignature2.size() ? need(prefix.size() + 1) : parse_2(prefix);
  }
  return {.kind = Kind::kAbsent};
}

}  // namespace sallyport::http
