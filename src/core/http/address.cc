#include "core/http/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <functional>

namespace sallyport::http {
namespace {

constexpr std::array<std::uint8_t, 12> kMappedPrefix{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool is_mapped_v4(std::span<const std::uint8_t, 16> bytes) noexcept {
  return std::ranges::equal(bytes.first<12>(), kMappedPrefix);
}

// inet_pton wants a terminated string; no address is longer than INET6_ADDRSTRLEN.
std::optional<std::array<std::uint8_t, 16>> parse_bytes(std::string_view text, int family) {
  if (text.empty() || text.size() >= INET6_ADDRSTRLEN) return std::nullopt;
  if (text.find('\0') != std::string_view::npos) return std::nullopt;
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  std::ranges::copy(text, terminated.begin());
  std::array<std::uint8_t, 16> bytes{};
  if (inet_pton(family, terminated.data(), bytes.data()) != 1) return std::nullopt;
  return bytes;
}

std::optional<unsigned> parse_prefix(std::string_view text) noexcept {
  if (text.empty() || text.size() > 3 || (text.size() > 1 && text.front() == '0')) {
    return std::nullopt;
  }
  unsigned value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<unsigned>(c - '0');
  }
  return value;
}

std::string quoted(std::string_view text) {
  return "\"" + std::string(text) + "\"";
}

}  // namespace

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
  if (const auto bytes = parse_bytes(text, AF_INET)) {
    return from_v4({(*bytes)[0], (*bytes)[1], (*bytes)[2], (*bytes)[3]});
  }
  if (const auto bytes = parse_bytes(text, AF_INET6)) return from_v6(*bytes);
  return std::nullopt;
}

IpAddress IpAddress::from_v4(std::array<std::uint8_t, 4> bytes) noexcept {
  IpAddress address;
  std::ranges::copy(bytes, address.bytes_.begin());
  return address;
}

IpAddress IpAddress::from_v6(const std::array<std::uint8_t, 16>& bytes) noexcept {
  if (is_mapped_v4(bytes)) return from_v4({bytes[12], bytes[13], bytes[14], bytes[15]});
  IpAddress address;
  address.bytes_ = bytes;
  address.is_v4_ = false;
  return address;
}

bool IpAddress::is_loopback() const noexcept {
  if (is_v4_) return bytes_[0] == 127;
  const bool zeros = std::all_of(bytes_.begin(), bytes_.end() - 1, [](auto b) { return b == 0; });
  return zeros && bytes_.back() == 1;
}

std::string IpAddress::text() const {
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  const char* const text =
      inet_ntop(is_v4_ ? AF_INET : AF_INET6, bytes_.data(), buffer.data(), buffer.size());
  return text == nullptr ? std::string() : std::string(text);
}

IpAddress IpAddress::masked(unsigned prefix) const noexcept {
  IpAddress result = *this;
  const std::size_t size = bytes().size();
  for (std::size_t i = 0; i < size; ++i) {
    const std::size_t before = i * 8;
    const unsigned kept =
        prefix <= before ? 0 : std::min<unsigned>(8, prefix - static_cast<unsigned>(before));
    result.bytes_[i] = static_cast<std::uint8_t>(result.bytes_[i] & (0xff00U >> kept));
  }
  return result;
}

IpAddress limit_key(const IpAddress& address) noexcept {
  return address.is_v4() ? address : address.masked(64);
}

std::size_t IpAddressHash::operator()(const IpAddress& address) const noexcept {
  const auto bytes = address.bytes();
  return std::hash<std::string_view>{}({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

std::expected<CidrBlock, std::string> CidrBlock::parse(std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::string_view address_text = text.substr(0, slash);
  const auto address = IpAddress::parse(address_text);
  if (!address) {
    return std::unexpected(quoted(text) +
                           " is not an address block such as 192.0.2.0/24 or 2001:db8::/32");
  }
  // A mapped address counts its prefix from the start of the IPv6 address.
  const unsigned offset =
      address->is_v4() && address_text.find(':') != std::string_view::npos ? 96 : 0;
  unsigned prefix = address->bits();
  if (slash != std::string_view::npos) {
    const auto written = parse_prefix(text.substr(slash + 1));
    if (!written || *written < offset || *written - offset > address->bits()) {
      return std::unexpected(quoted(text) + ": the number of bits behind the slash is not valid");
    }
    prefix = *written - offset;
  }
  CidrBlock block;
  block.first_ = address->masked(prefix);
  block.prefix_ = prefix;
  if (block.first_ != *address) {
    return std::unexpected(quoted(text) + " has bits set behind its prefix; the block is " +
                           block.text());
  }
  return block;
}

bool CidrBlock::contains(const IpAddress& address) const noexcept {
  return address.is_v4() == first_.is_v4() && address.masked(prefix_) == first_;
}

std::string CidrBlock::text() const {
  return first_.text() + "/" + std::to_string(prefix_);
}

std::expected<std::vector<CidrBlock>, std::string> parse_cidr_list(
    std::span<const std::string> entries) {
  std::vector<CidrBlock> blocks;
  blocks.reserve(entries.size());
  for (const std::string& entry : entries) {
    auto block = CidrBlock::parse(entry);
    if (!block) return std::unexpected(std::move(block.error()));
    blocks.push_back(*block);
  }
  return blocks;
}

bool contains(std::span<const CidrBlock> blocks, const IpAddress& address) noexcept {
  return std::ranges::any_of(blocks,
                             [&](const CidrBlock& block) { return block.contains(address); });
}

bool AddressRules::permits(const IpAddress& address) const noexcept {
  if (contains(deny, address)) return false;
  return !allow || contains(*allow, address);
}

}  // namespace sallyport::http
