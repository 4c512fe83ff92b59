#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "sallyport/principal.h"
#include "server/history.h"

namespace sallyport::server {

/// What is known of a connection that has ended, for the one that goes on where it stopped.
struct ResumeState {
  struct Channel {
    std::string name;
    std::uint64_t since = 0;  ///< what was published later has been handed to it, up to `end`
  };
  std::string route;
  Principal principal;             ///< who it was: without claims and scopes
  std::vector<Channel> channels;   ///< that it was in
  std::uint64_t end = 0;           ///< the last publication that had its turn while the connection lived
  std::uint64_t arrived = 0;       ///< up to here, everything is known to have reached the peer's machine
  std::uint64_t delivered = 0;     ///< how many publications it was handed in all
  /// Before this number `delivered` cannot be told from the history: a channel that it left counted then.
  std::uint64_t countable_after = 0;
  bool lossy = false;              ///< publications were dropped in between
};

/// Whether `who` may go on where the state stopped, on that route: the same login of the same subject.
[[nodiscard]] bool belongs(const ResumeState& state, const Principal& who, std::string_view route) noexcept;
/// What of a principal a state needs.
[[nodiscard]] Principal identity_of(const Principal& who);

/// What a new connection is to be given.
struct Replay {
  std::uint64_t after = 0;              ///< everything later is new to the peer
  std::vector<History::Entry> entries;  ///< of all channels of the state, by number
  bool gap = false;                     ///< something is missing that is not remembered
};

/// Compares a state with what is remembered of its channels. `received` is how many publications the peer says that
/// it received on the connection; without it, what is known to have arrived counts as received.
[[nodiscard]] Replay replay_of(const ResumeState& state, std::optional<std::uint64_t> received, History::Found found);

}  // namespace sallyport::server
