#include "io/poller.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "core/base/assert.h"

namespace sallyport::io {
namespace {

epoll_event event_for(Watcher& watcher, bool read, bool write, bool hangup) {
  epoll_event event{};
  event.events = (hangup ? EPOLLRDHUP : 0U) | (read ? EPOLLIN : 0U) | (write ? EPOLLOUT : 0U);
  event.data.ptr = &watcher;
  return event;
}

}  // namespace

Poller::Poller() : fd_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "epoll_create1");
}

Poller::~Poller() { ::close(fd_); }

bool Poller::add(int fd, Watcher& watcher, bool read, bool write) {
  epoll_event event = event_for(watcher, read, write, true);
  return ::epoll_ctl(fd_, EPOLL_CTL_ADD, fd, &event) == 0;
}

void Poller::modify(int fd, Watcher& watcher, bool read, bool write, bool hangup) {
  epoll_event event = event_for(watcher, read, write, hangup);
  SALLYPORT_ASSERT(::epoll_ctl(fd_, EPOLL_CTL_MOD, fd, &event) == 0);
}

void Poller::remove(int fd) noexcept { ::epoll_ctl(fd_, EPOLL_CTL_DEL, fd, nullptr); }

int Poller::dispatch() {
  std::array<epoll_event, kBatch> events;
  const int count = ::epoll_wait(fd_, events.data(), kBatch, 0);
  for (int i = 0; i < count; ++i) {
    const std::uint32_t bits = events[static_cast<std::size_t>(i)].events;
    auto* const watcher = static_cast<Watcher*>(events[static_cast<std::size_t>(i)].data.ptr);
    watcher->on_ready({.readable = (bits & EPOLLIN) != 0,
                       .writable = (bits & EPOLLOUT) != 0,
                       .peer_closed = (bits & EPOLLRDHUP) != 0,
                       .error = (bits & (EPOLLERR | EPOLLHUP)) != 0});
  }
  return count < 0 ? 0 : count;
}

}  // namespace sallyport::io
