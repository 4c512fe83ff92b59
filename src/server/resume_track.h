#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "server/inflight.h"
#include "server/resume_state.h"
#include "server/resume_store.h"

namespace sallyport::server {

/// A peer's wish to go on where another connection stopped.
struct ResumeRequest {
  ResumeStore::Token token{};
  std::optional<std::uint64_t> received = {};  ///< publications, by the peer's own count
  std::string id = {};                         ///< of the message that said so, as JSON text
};

/// What a hub connection keeps so that another one can go on where it stops. Belongs to its connection.
struct ResumeTrack {
  ResumeStore::Token token{};             ///< the peer has been given it
  std::unique_ptr<ResumeRequest> request; ///< waits to be answered
  std::unique_ptr<ResumeState> left;      ///< once it has ended
  Inflight inflight;
  std::uint64_t delivered = 0;            ///< publications that it was handed
  std::uint64_t countable_after = 0;      ///< as in `ResumeState`
  std::uint64_t began_at = 0;             ///< the last publication before it
  bool given = false;                     ///< `token` counts
  bool may_ask = true;                    ///< once, and not after a channel was joined
  std::unique_ptr<ResumeState> taken;     ///< another one's, while this worker is behind that one's
  bool pending = false;                   ///< another worker is waited for: nothing else is said or read until then
  bool open_owed = false;                 ///< `on_open` waits for that
  bool lossy = false;                     ///< as in `ResumeState`
};

}  // namespace sallyport::server
