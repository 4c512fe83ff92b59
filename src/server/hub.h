#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "server/publication.h"

namespace sallyport::server {

class Connection;
class Channel;

/// One membership, as its connection holds it: where to find the other half, so that leaving costs the same
/// however many members a channel has.
struct Subscription {
  Channel* channel;
  std::uint32_t member;  ///< its place in the channel
};

/// One worker's channels and their members. It delivers one publication after the other, within the worker's
/// budget: where that is spent it stops, in the middle of a channel if need be, and what is published meanwhile
/// waits its turn. Belongs to the worker's thread.
class Hub {
 public:
  static constexpr std::size_t kChannelsPerConnection = 256;
  /// What may wait. Connections that publish are not read while anything does, so only callbacks that publish a
  /// lot at once reach this; the rest of what they say is dropped.
  static constexpr std::size_t kBacklogBytes = 32 * 1024 * 1024;

  enum class Joined { kYes, kAlready, kTooMany };

  /// `budget` is how many frames may still be queued in this turn; it is the worker's.
  explicit Hub(int& budget);
  ~Hub();
  Joined subscribe(Connection& connection, std::string_view channel);
  bool unsubscribe(Connection& connection, std::string_view channel);
  void leave_all(Connection& connection);
  /// The names of the channels that a connection has joined.
  [[nodiscard]] static std::vector<std::string> channels_of(const Connection& connection);

  /// Queues the frame for every member of the channel, now or behind what was published before. Who leaves before
  /// it is their turn does not get it any more. False if there is no room: it is dropped.
  bool publish(std::string_view channel, const Frame& frame);
  /// Goes on where the budget ended.
  void go_on();
  /// Whether something waits.
  [[nodiscard]] bool backlogged() const noexcept { return current_ != nullptr || !waiting_.empty(); }

  [[nodiscard]] std::size_t channels() const noexcept { return channels_.size(); }
  /// Every channel with how many members it has here.
  [[nodiscard]] std::vector<std::pair<std::string, std::size_t>> members() const;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept {
      return std::hash<std::string_view>()(text);
    }
  };
  void begin(std::string_view channel, const Frame& frame);
  [[nodiscard]] bool begin_next();
  void finish();
  void remove(Connection& connection, std::size_t position);

  int& budget_;
  std::unordered_map<std::string, std::unique_ptr<Channel>, Hash, std::equal_to<>> channels_;
  // The publication that is being delivered: to the members from `next_` on, up to `end_`. Who joins meanwhile
  // stands behind that.
  Channel* current_ = nullptr;
  Frame frame_;
  std::size_t next_ = 0;
  std::size_t end_ = 0;
  bool delivering_ = false;           // inside go_on: a delivery may close its connection, and that may publish
  std::deque<Publication> waiting_;
  std::size_t waiting_bytes_ = 0;
};

}  // namespace sallyport::server
