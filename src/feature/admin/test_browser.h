#pragma once

// A blocking HTTP client that sends what it is told, byte for byte.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

namespace sallyport::admin::test {

struct Reply {
  int status = 0;  ///< 0: none came
  std::string head;
  std::string body;

  [[nodiscard]] bool has(std::string_view line) const {
    return head.find("\r\n" + std::string(line) + "\r\n") != std::string::npos;
  }
};

class Browser {
 public:
  static constexpr int kPatienceMs = 20'000;

  explicit Browser(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0) {
      ::close(fd_);
      fd_ = -1;
    }
  }
  ~Browser() {
    if (fd_ >= 0) ::close(fd_);
  }
  Browser(const Browser&) = delete;
  Browser& operator=(const Browser&) = delete;

  void send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }

  /// The next answer. `to_head`: to a HEAD, whose body does not come.
  Reply hear(bool to_head = false) {
    Reply reply;
    std::size_t end = 0;
    while ((end = input_.find("\r\n\r\n")) == std::string::npos) {
      if (!more()) return reply;
    }
    reply.head = input_.substr(0, end + 4);
    input_.erase(0, end + 4);
    (void)std::from_chars(reply.head.data() + 9, reply.head.data() + 12, reply.status);
    std::size_t length = 0;
    const std::size_t field = reply.head.find("\r\nContent-Length: ");
    if (field != std::string::npos) {
      (void)std::from_chars(reply.head.data() + field + 18, reply.head.data() + reply.head.size(), length);
    }
    if (to_head) length = 0;
    while (input_.size() < length) {
      if (!more()) break;
    }
    reply.body = input_.substr(0, length);
    input_.erase(0, length);
    return reply;
  }

  Reply ask(std::string_view bytes) {
    send(bytes);
    return hear();
  }

  /// True if the server closes the connection, without another byte.
  bool ended() { return input_.empty() && !more() && input_.empty(); }

 private:
  bool more() {
    pollfd poll{fd_, POLLIN, 0};
    if (fd_ < 0 || ::poll(&poll, 1, kPatienceMs) != 1) return false;
    char buffer[4096];
    const ssize_t got = ::recv(fd_, buffer, sizeof buffer, 0);
    if (got <= 0) return false;
    input_.append(buffer, static_cast<std::size_t>(got));
    return true;
  }

  int fd_;
  std::string input_;
};

}  // namespace sallyport::admin::test
