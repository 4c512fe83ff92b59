#include "bench/peers/floor_protocol.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace sallyport::bench {
namespace {

std::array<std::uint8_t, 64 * 1024> scratch;  // one thread, one buffer, as in any fast server

std::string accept_value(std::string_view key) {
  const std::string text = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha1(), nullptr);
  std::array<unsigned char, 64> encoded{};
  EVP_EncodeBlock(encoded.data(), digest.data(), static_cast<int>(size));
  return reinterpret_cast<const char*>(encoded.data());
}

void unmask(std::uint8_t* data, std::size_t size, const std::uint8_t* mask) {
  std::uint64_t wide = 0;
  std::uint32_t narrow = 0;
  std::memcpy(&narrow, mask, sizeof narrow);
  wide = std::uint64_t{narrow} << 32 | narrow;
  std::size_t i = 0;
  for (; i + 8 <= size; i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, data + i, 8);
    word ^= wide;
    std::memcpy(data + i, &word, 8);
  }
  for (; i < size; ++i) data[i] ^= mask[i % 4];
}

}  // namespace

FloorConnection::~FloorConnection() {
  ::close(fd_);
}

bool FloorConnection::on_readable() {
  std::uint8_t* data = scratch.data();
  const std::size_t kept = held_.size();
  if (kept > 0) std::memcpy(data, held_.data(), kept);
  const ssize_t got = ::recv(fd_, data + kept, scratch.size() - kept, 0);
  if (got < 0 && errno == EAGAIN) return true;
  if (got <= 0) return false;
  const std::size_t size = kept + static_cast<std::size_t>(got);
  std::size_t used = 0;
  while (used < size) {
    const std::size_t taken =
        open_ ? take(data + used, size - used) : upgrade(data + used, size - used);
    if (taken == 0) break;
    used += taken;
  }
  held_.assign(data + used, data + size);
  return !failed_;
}

// Echoes one frame in place: the answer's header, which has no mask and so is four bytes shorter,
// is written over the mask.
std::size_t FloorConnection::take(std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  std::size_t length = data[1] & 0x7f;
  std::size_t extended = 0;
  if (length == 126) {
    if (size < 4) return 0;
    extended = 2;
    length = static_cast<std::size_t>(data[2]) << 8 | data[3];
  }
  const std::size_t header = 2 + extended + 4;
  if (size < header + length) return 0;
  unmask(data + header, length, data + header - 4);
  std::uint8_t* answer = data + 4;
  std::memmove(answer, data, 2 + extended);
  answer[1] &= 0x7f;
  const std::size_t total = header - 4 + length;
  if (::send(fd_, answer, total, MSG_NOSIGNAL) != static_cast<ssize_t>(total)) failed_ = true;
  return header + length;
}

std::size_t FloorConnection::upgrade(const std::uint8_t* data, std::size_t size) {
  const std::string_view head(reinterpret_cast<const char*>(data), size);
  const std::size_t end = head.find("\r\n\r\n");
  constexpr std::string_view kKey = "Sec-WebSocket-Key: ";
  const std::size_t key = head.find(kKey);
  if (end == std::string_view::npos || key == std::string_view::npos) return 0;
  const std::string answer =
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Accept: " +
      accept_value(head.substr(key + kKey.size(), 24)) + "\r\n\r\n";
  if (::send(fd_, answer.data(), answer.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(answer.size())) {
    failed_ = true;
  }
  open_ = true;
  return end + 4;
}

int floor_listen(int argc, char** argv) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 0));
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof address;
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0 || ::bind(fd, generic, size) != 0 || ::listen(fd, 4096) != 0 ||
      ::getsockname(fd, generic, &size) != 0) {
    std::perror("listen");
    std::exit(1);
  }
  std::printf("listening %u\n", static_cast<unsigned>(ntohs(address.sin_port)));
  std::fflush(stdout);
  return fd;
}

int floor_accept(int listener) {
  const int fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) return -1;
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

}  // namespace sallyport::bench
