// The floor: a bare epoll loop, one receive and one send for each message.
// bench_epoll_floor PORT

#include <sys/epoll.h>

#include <array>
#include <memory>
#include <unordered_map>

#include "bench/peers/floor_protocol.h"

int main(int argc, char** argv) {
  using sallyport::bench::FloorConnection;
  const int listener = sallyport::bench::floor_listen(argc, argv);
  const int loop = ::epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{};
  event.events = EPOLLIN;
  ::epoll_ctl(loop, EPOLL_CTL_ADD, listener, &event);

  std::unordered_map<FloorConnection*, std::unique_ptr<FloorConnection>> connections;
  std::array<epoll_event, 256> events;
  while (true) {
    const int ready = ::epoll_wait(loop, events.data(), static_cast<int>(events.size()), -1);
    for (int i = 0; i < ready; ++i) {
      auto* connection =
          static_cast<FloorConnection*>(events[static_cast<std::size_t>(i)].data.ptr);
      if (connection != nullptr) {
        if (!connection->on_readable()) connections.erase(connection);
        continue;
      }
      for (int fd = -1; (fd = sallyport::bench::floor_accept(listener)) >= 0;) {
        auto accepted = std::make_unique<FloorConnection>(fd);
        event.data.ptr = accepted.get();
        ::epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event);
        connections.emplace(accepted.get(), std::move(accepted));
      }
    }
  }
}
