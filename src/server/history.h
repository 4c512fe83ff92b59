#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/base/clock.h"
#include "server/publication.h"

namespace sallyport::server {

/// Numbers what is published, and remembers the latest of it for those who come back. A publication is numbered,
/// remembered and handed to every worker in one step, under one mutex, so that all workers deliver in the same order
/// and "up to this number" means the same to all of them: what a resume stands on. Thread-safe. The mutex is held
/// for some look-ups and a short append for each worker, well under a microsecond (history_test measures it); a
/// process whose publications cost that much spends many times as much on delivering them.
class History {
 public:
  static constexpr std::size_t kPublicationsPerChannel = 100;
  static constexpr std::size_t kBytesPerChannel = 1024 * 1024;
  static constexpr std::size_t kBytes = 64 * 1024 * 1024;
  static constexpr std::size_t kChannels = 100'000;
  /// Looked at for their age with every publication; the control thread looks at the rest from time to time.
  static constexpr std::size_t kExpiredPerPublication = 8;

  /// How long a publication is remembered. 0: nothing is, until this is called again.
  void keep_for(base::Milliseconds age);

  /// Gives the publication its number, the next one, and calls `hand_out(number)` before any other gets one.
  template <typename HandOut>
  void publish(std::string_view channel, const Frame& frame, base::MonoTime now, HandOut&& hand_out) {
    const std::lock_guard lock(mutex_);
    hand_out(append(channel, frame, now));
  }

  /// A channel of which what was published after `since` is asked for.
  struct Wanted {
    std::string_view channel;
    std::uint64_t since = 0;
  };
  struct Entry {
    std::uint64_t number;
    Frame frame;
    std::uint32_t wanted;  ///< which channel
  };
  struct Found {
    std::vector<Entry> entries;             ///< by their numbers
    /// For each channel: up to this number something that was published may have been forgotten.
    std::vector<std::uint64_t> forgotten;
  };
  /// What is remembered up to the number `until`.
  [[nodiscard]] Found find(std::span<const Wanted> channels, std::uint64_t until) const;

  /// The last number. Everything up to it has been handed out when this returns.
  [[nodiscard]] std::uint64_t last() const;

  /// Forgets what is too old.
  void expire(base::MonoTime now);
  [[nodiscard]] std::size_t channels() const;
  [[nodiscard]] std::size_t bytes() const;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>()(text); }
  };
  struct Item;
  using Items = std::list<Item>;
  struct Channel {
    Items::iterator first = {};   // each knows the next one
    Items::iterator last = {};
    std::size_t count = 0;
    std::size_t bytes = 0;
    std::uint64_t forgotten = 0;  // up to this number something may be missing
  };
  using Channels = std::unordered_map<std::string, Channel, Hash, std::equal_to<>>;
  struct Item {
    std::uint64_t number;
    base::MonoTime at;
    Frame frame;                  // null: too large to be remembered
    Channels::value_type* channel;
    Items::iterator next = {};
    [[nodiscard]] std::size_t bytes() const noexcept { return sizeof *this + (frame != nullptr ? frame->size() : 0); }
  };
  [[nodiscard]] std::uint64_t append(std::string_view channel, const Frame& frame, base::MonoTime now);
  void forget_first(Channels::value_type& channel);
  void forget_channel(Channels::value_type& channel);
  void expire(base::MonoTime now, std::size_t most);

  mutable std::mutex mutex_;
  // All guarded.
  std::uint64_t last_number_ = 0;
  base::Milliseconds age_{0};
  Items items_;                  // oldest first
  Channels channels_;            // those that something is remembered of
  std::size_t bytes_ = 0;
  std::uint64_t forgotten_ = 0;  // of channels of which nothing is remembered any more
};

}  // namespace sallyport::server
