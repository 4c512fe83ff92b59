#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <string>

#include "core/base/clock.h"
#include "core/base/timer_wheel.h"
#include "io/address.h"
#include "io/loop.h"

namespace sallyport::io {

/// A bound and listening socket that is not yet served. Each worker has one of its own on the same address
/// (SO_REUSEPORT), so that the kernel spreads connections without a lock of ours.
class ListeningSocket {
 public:
  /// Opens one. With port 0 the kernel chooses, and `endpoint()` tells.
  [[nodiscard]] static std::expected<ListeningSocket, std::string> open(const Endpoint& endpoint);
  /// Whether nobody else listens there. The result has the port that the kernel chose for port 0; it is
  /// free again, so open it soon.
  [[nodiscard]] static std::expected<Endpoint, std::string> probe(const Endpoint& endpoint);
  ~ListeningSocket();
  ListeningSocket(ListeningSocket&& other) noexcept;
  ListeningSocket& operator=(ListeningSocket&&) = delete;

  [[nodiscard]] const Endpoint& endpoint() const noexcept { return endpoint_; }
  [[nodiscard]] int descriptor() const noexcept { return fd_; }

 private:
  ListeningSocket(int fd, Endpoint endpoint) : fd_(fd), endpoint_(endpoint) {}
  [[nodiscard]] static std::expected<ListeningSocket, std::string> bind(const Endpoint& endpoint,
                                                                        bool shared);
  int fd_;
  Endpoint endpoint_;
};

/// Accepts for one worker. Belongs to the loop's thread.
class Listener final : public Watcher {
 public:
  static constexpr int kAcceptsPerTurn = 64;  ///< then open connections get their go
  static constexpr base::Milliseconds kPause{100};  ///< after the process has run out of descriptors

  class Sink {
   public:
    /// Takes a connected, non-blocking socket over.
    virtual void on_accept(int fd, const Endpoint& peer) = 0;
    /// The process or the system is out of descriptors. True if the sink has given some back.
    virtual bool on_descriptors_exhausted() = 0;

   protected:
    ~Sink() = default;
  };

  Listener(Loop& loop, ListeningSocket socket, Sink& sink);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  void on_ready(Readiness readiness) override;
  /// Call it from the loop's timer hook: true if the node was this listener's pause, which is then over.
  bool on_timer(base::TimerWheel::Node& node);
  [[nodiscard]] const Endpoint& endpoint() const noexcept { return socket_.endpoint(); }

 private:
  void pause();

  Loop& loop_;
  ListeningSocket socket_;
  Sink& sink_;
  base::TimerWheel::Node pause_;
};

}  // namespace sallyport::io
