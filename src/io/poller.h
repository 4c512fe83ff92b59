#pragma once

#include <array>
#include <cstdint>

namespace sallyport::io {

/// What a descriptor is ready for.
struct Readiness {
  bool readable = false;
  bool writable = false;
  bool peer_closed = false;  ///< the peer will send no more (FIN), perhaps after bytes still unread
  bool error = false;        ///< reset, or an error on the socket
};

/// Something that waits for a descriptor. It outlives its registration; one that is destroyed within a
/// turn must have been removed and must stay in memory until the turn has ended.
class Watcher {
 public:
  virtual void on_ready(Readiness readiness) = 0;

 protected:
  ~Watcher() = default;
};

/// Level-triggered epoll: a registration costs one system call in a connection's life, not one for each
/// wait as a proactor's does, and an idle connection holds no pending operation. The poller's own
/// descriptor is watched by Asio (see Loop). Belongs to one thread.
class Poller {
 public:
  static constexpr int kBatch = 256;  ///< events taken per system call

  Poller();
  ~Poller();
  Poller(const Poller&) = delete;
  Poller& operator=(const Poller&) = delete;

  /// False if the kernel refuses (no memory, too many watches).
  [[nodiscard]] bool add(int fd, Watcher& watcher, bool read, bool write);
  /// Changes what is waited for. Errors and hang-ups are reported whatever is asked; `hangup` says whether
  /// the peer's FIN alone is.
  void modify(int fd, Watcher& watcher, bool read, bool write, bool hangup = true);
  void remove(int fd) noexcept;

  /// Reports what is ready now, without waiting. Returns how many descriptors that were.
  int dispatch();

  [[nodiscard]] int descriptor() const noexcept { return fd_; }

 private:
  int fd_;
};

}  // namespace sallyport::io
