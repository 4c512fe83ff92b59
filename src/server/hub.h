#pragma once

#include <cstddef>
#include <cstdint>
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
  std::uint32_t member;     ///< its place in the channel
  std::uint64_t since = 0;  ///< publications after this number are its connection's
};

/// One worker's channels and their members. It delivers one publication after the other, within the worker's
/// budget: where that is spent it stops, in the middle of a channel if need be. Belongs to the worker's thread.
class Hub {
 public:
  static constexpr std::size_t kChannelsPerConnection = 256;

  enum class Joined { kYes, kAlready, kTooMany };

  /// `budget` is how many frames may still be queued in this turn; it is the worker's.
  explicit Hub(int& budget);
  ~Hub();
  Joined subscribe(Connection& connection, std::string_view channel);
  bool unsubscribe(Connection& connection, std::string_view channel);
  void leave_all(Connection& connection);
  /// The names of the channels that a connection has joined.
  [[nodiscard]] static std::vector<std::string> channels_of(const Connection& connection);
  /// A channel's name.
  [[nodiscard]] static const std::string& name_of(const Channel& channel) noexcept;
  /// From here on the membership has what was published after `since`: that it was given what it had missed.
  void caught_up(Connection& connection, std::string_view channel, std::uint64_t since);

  /// Queues the frame for every member of the channel. Who leaves before it is their turn does not get it any more.
  /// Not while it is backlogged; in the order of the numbers.
  void publish(const Publication& publication);
  /// Goes on where the budget ended.
  void go_on();
  /// Whether a publication is being delivered.
  [[nodiscard]] bool backlogged() const noexcept { return current_ != nullptr; }
  /// The number of the last publication that was begun: who joins now gets what comes after it.
  [[nodiscard]] std::uint64_t delivered() const noexcept { return delivered_; }
  /// The last publication that a member of some channels has had its turn for.
  [[nodiscard]] std::uint64_t delivered_to(const Connection& connection) const noexcept;

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
  std::uint64_t delivered_ = 0;
  bool delivering_ = false;  // inside go_on: a delivery may close its connection, whose end may do anything
};

}  // namespace sallyport::server
