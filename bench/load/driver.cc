#include "bench/load/driver.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>

namespace sallyport::bench {
namespace {

constexpr std::size_t kBufferBytes = 128 * 1024;       // more than one frame of the largest payload
constexpr std::uint64_t kHandshakesPerSource = 1'000;  // few of the ephemeral ports
constexpr std::uint32_t kLoopback = 0x7f000001;
constexpr std::uint64_t kStandardInput = UINT64_MAX;

sockaddr_in address(std::uint32_t host, std::uint16_t port) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_addr.s_addr = htonl(host);
  result.sin_port = htons(port);
  return result;
}

std::string request_head(const Options& options, std::uint64_t handshake) {
  std::string head = "GET " + options.path +
                     " HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(options.port) +
                     "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                     "Sec-WebSocket-Version: 13\r\n";
  if (!options.tokens.empty()) {
    const std::string& token = options.tokens[handshake % options.tokens.size()];
    head += "Authorization: Bearer " + token + "\r\n";
  }
  return head + "\r\n";
}

}  // namespace

Driver::Driver(const Options& options, std::size_t sessions, std::uint64_t handshakes_expected)
    : options_(options),
      tls_(options.tls ? make_tls_context() : nullptr),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      sources_(static_cast<std::uint32_t>(1 + handshakes_expected / kHandshakesPerSource)),
      server_(address(kLoopback, options.port)),
      sessions_(sessions),
      watching_write_(sessions),
      buffer_(kBufferBytes) {
  if (epoll_ < 0) throw std::runtime_error("no epoll");
}

Driver::~Driver() {
  ::close(epoll_);
}

void Driver::watch(std::size_t index, int operation) {
  const bool write = sessions_[index].wants_write();
  if (operation == EPOLL_CTL_MOD && watching_write_[index] == write) return;
  watching_write_[index] = write;
  epoll_event event{};
  event.events = write ? EPOLLOUT : EPOLLIN;
  event.data.u64 = index;
  if (epoll_ctl(epoll_, operation, sessions_[index].fd(), &event) != 0) {
    throw std::runtime_error(std::string("epoll_ctl: ") + std::strerror(errno));
  }
}

void Driver::open(std::size_t index) {
  const std::uint32_t source = kLoopback + static_cast<std::uint32_t>(handshakes_ % sources_);
  sessions_[index].start(Stream(address(source, 0), server_, tls_.get()),
                         request_head(options_, handshakes_));
  ++handshakes_;
  watch(index, EPOLL_CTL_ADD);
}

void Driver::send(std::size_t index, std::span<const std::uint8_t> bytes) {
  sessions_[index].send(bytes);
  watch(index, EPOLL_CTL_MOD);
}

void Driver::run(Handler& handler, bool input_ends_it) {
  if (input_ends_it) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.u64 = kStandardInput;
    // A regular file cannot be watched, and is at its end already.
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, STDIN_FILENO, &event) != 0) return;
  }
  std::array<epoll_event, 256> events;
  while (!stopped_) {
    const int ready = epoll_wait(epoll_, events.data(), static_cast<int>(events.size()),
                                 input_ends_it ? -1 : kSilenceMaxMilliseconds);
    if (ready == 0) throw std::runtime_error("the server has fallen silent");
    if (ready < 0 && errno != EINTR) throw std::runtime_error("epoll_wait failed");
    for (int i = 0; i < ready && !stopped_; ++i) {
      const std::uint64_t index = events[static_cast<std::size_t>(i)].data.u64;
      if (index == kStandardInput) return;
      serve(handler, index);
    }
  }
}

void Driver::serve(Handler& handler, std::size_t index) {
  Session& session = sessions_[index];
  while (true) {
    switch (session.advance(buffer_)) {
      case Session::Event::kNothing:
        watch(index, EPOLL_CTL_MOD);
        return;
      case Session::Event::kOpened:
        handler.opened(index);
        // The handler may have closed it, or begun the next connection in its place.
        if (session.state() != Session::State::kOpen) return;
        break;
      case Session::Event::kMessage:
        handler.message(index, session.payload());
        break;
    }
  }
}

}  // namespace sallyport::bench
