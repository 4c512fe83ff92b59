#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "server/outbox.h"

namespace sallyport::server {

class Connection;
class Channel;

/// One membership, as its connection holds it: where to find the other half, so that leaving costs the same
/// however many members a channel has.
struct Subscription {
  Channel* channel;
  std::uint32_t member;  ///< its place in the channel
};

/// One worker's channels and their members. Belongs to the worker's thread.
class Hub {
 public:
  static constexpr std::size_t kChannelsPerConnection = 256;

  enum class Joined { kYes, kAlready, kTooMany };

  Hub();
  ~Hub();
  Joined subscribe(Connection& connection, std::string_view channel);
  bool unsubscribe(Connection& connection, std::string_view channel);
  void leave_all(Connection& connection);
  /// The names of the channels that a connection has joined.
  [[nodiscard]] static std::vector<std::string> channels_of(const Connection& connection);

  /// Queues the frame for every member. Returns how many took it.
  std::size_t deliver(std::string_view channel, const Frame& frame);

  [[nodiscard]] std::size_t channels() const noexcept { return channels_.size(); }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept {
      return std::hash<std::string_view>()(text);
    }
  };
  void remove(Connection& connection, std::size_t position);

  std::unordered_map<std::string, std::unique_ptr<Channel>, Hash, std::equal_to<>> channels_;
  std::vector<Connection*> receivers_;  // scratch of deliver
};

}  // namespace sallyport::server
