#include "core/ws/handshake.h"

#include "core/base/digest.h"

namespace sallyport::ws {
namespace {

constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

template <typename Bytes>
std::string_view text_of(const Bytes& bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

bool is_base64(char c) noexcept {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
         c == '/';
}

}  // namespace

bool valid_key(std::string_view key) noexcept {
  if (key.size() != 24 || !key.ends_with("==")) return false;
  for (const char c : key.substr(0, 22)) {
    if (!is_base64(c)) return false;
  }
  // The last character holds two bits of the sixteenth byte; its other four must be zero.
  const char last = key[21];
  return last == 'A' || last == 'Q' || last == 'g' || last == 'w';
}

std::string accept_key(std::string_view key) {
  std::string text;
  text.reserve(key.size() + kGuid.size());
  text.append(key).append(kGuid);
  return base::base64(text_of(base::sha1(text)));
}

std::string make_key(std::span<const std::uint8_t, 16> random) {
  return base::base64(text_of(random));
}

}  // namespace sallyport::ws
