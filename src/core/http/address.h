#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sallyport::http {

/// An IPv4 or IPv6 address without port and zone: 17 bytes, comparable, usable as a key. An IPv6
/// address that maps an IPv4 one (::ffff:a.b.c.d, RFC 4291 section 2.5.5.2) is that IPv4 address,
/// so that a rule cannot be evaded by the other spelling.
class IpAddress {
 public:
  /// 0.0.0.0.
  IpAddress() = default;

  /// Strict: four decimal numbers, or RFC 4291 section 2.2 without brackets and zone.
  [[nodiscard]] static std::optional<IpAddress> parse(std::string_view text);
  [[nodiscard]] static IpAddress from_v4(std::array<std::uint8_t, 4> bytes) noexcept;
  [[nodiscard]] static IpAddress from_v6(const std::array<std::uint8_t, 16>& bytes) noexcept;

  [[nodiscard]] bool is_v4() const noexcept { return is_v4_; }
  [[nodiscard]] bool is_loopback() const noexcept;
  /// 32 or 128.
  [[nodiscard]] unsigned bits() const noexcept { return is_v4_ ? 32 : 128; }
  /// 4 or 16 bytes in network order; they live as long as this object.
  [[nodiscard]] std::span<const std::uint8_t> bytes() const noexcept {
    return {bytes_.data(), is_v4_ ? std::size_t{4} : std::size_t{16}};
  }
  /// The canonical text (RFC 5952).
  [[nodiscard]] std::string text() const;
  /// With all bits behind the first `prefix` cleared.
  [[nodiscard]] IpAddress masked(unsigned prefix) const noexcept;

  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;

 private:
  std::array<std::uint8_t, 16> bytes_{};  // IPv4: the first four
  bool is_v4_ = true;
};

/// What limits per address count by: the address itself for IPv4, its /64 for IPv6, since that is
/// what one subscriber is given.
[[nodiscard]] IpAddress limit_key(const IpAddress& address) noexcept;

struct IpAddressHash {
  [[nodiscard]] std::size_t operator()(const IpAddress& address) const noexcept;
};

/// A block of addresses, `192.0.2.0/24`, or a single one.
class CidrBlock {
 public:
  /// The error is a sentence for the reader of a configuration. Bits behind the prefix must be
  /// clear: a block that reads like an address is a typo more often than not.
  [[nodiscard]] static std::expected<CidrBlock, std::string> parse(std::string_view text);

  /// IPv4 addresses match IPv4 blocks only, so `::/0` means all of IPv6 and nothing else.
  [[nodiscard]] bool contains(const IpAddress& address) const noexcept;
  [[nodiscard]] std::string text() const;

  friend bool operator==(const CidrBlock&, const CidrBlock&) = default;

 private:
  IpAddress first_;
  unsigned prefix_ = 32;
};

[[nodiscard]] std::expected<std::vector<CidrBlock>, std::string> parse_cidr_list(
    std::span<const std::string> entries);

[[nodiscard]] bool contains(std::span<const CidrBlock> blocks, const IpAddress& address) noexcept;

/// `allow_addresses` and `deny_addresses` of a route. A denied address is refused even if it is
/// also allowed; an absent allow list allows all, an empty one nobody.
struct AddressRules {
  std::optional<std::vector<CidrBlock>> allow;
  std::vector<CidrBlock> deny;

  [[nodiscard]] bool permits(const IpAddress& address) const noexcept;
};

}  // namespace sallyport::http
