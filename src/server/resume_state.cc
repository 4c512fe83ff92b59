#include "server/resume_state.h"

#include <algorithm>

namespace sallyport::server {

bool belongs(const ResumeState& state, const Principal& who, std::string_view route) noexcept {
  return state.route == route && state.principal.issuer == who.issuer && state.principal.subject == who.subject &&
         state.principal.session == who.session;
}

Principal identity_of(const Principal& who) {
  Principal lean;
  lean.issuer = who.issuer;
  lean.subject = who.subject;
  lean.session = who.session;
  lean.token_id = who.token_id;
  lean.issued_at = who.issued_at;
  lean.expires_at = who.expires_at;
  lean.valid_until = who.valid_until;
  return lean;
}

Replay replay_of(const ResumeState& state, std::optional<std::uint64_t> received, History::Found found) {
  Replay replay;
  replay.after = state.arrived;
  if (received && !state.lossy) {
    // The last `missing` of what it was handed did not arrive. It was handed what its channels brought, in order, so
    // they are the last ones before its end, as far back as all of them are remembered.
    std::uint64_t remembered = state.countable_after;
    for (std::size_t i = 0; i < state.channels.size(); ++i) {
      if (found.forgotten[i] > state.channels[i].since) remembered = std::max(remembered, found.forgotten[i]);
    }
    const std::uint64_t missing = state.delivered - std::min(state.delivered, *received);
    const auto handed_end = std::find_if(found.entries.begin(), found.entries.end(),
                                         [&](const History::Entry& entry) { return entry.number > state.end; });
    const auto handed = static_cast<std::uint64_t>(handed_end - found.entries.begin());
    replay.after = state.end;
    if (missing != 0) {
      const std::uint64_t first =
          missing <= handed ? found.entries[static_cast<std::size_t>(handed - missing)].number : 0;
      replay.gap = first <= remembered;
      replay.after = replay.gap ? std::min(remembered, state.end) : first - 1;
    }
  }
  for (std::size_t i = 0; i < state.channels.size(); ++i) {
    if (found.forgotten[i] > std::max(replay.after, state.channels[i].since)) replay.gap = true;
  }
  replay.gap = replay.gap || state.lossy;
  const auto first = std::find_if(found.entries.begin(), found.entries.end(),
                                  [&](const History::Entry& entry) { return entry.number > replay.after; });
  found.entries.erase(found.entries.begin(), first);
  replay.entries = std::move(found.entries);
  return replay;
}

}  // namespace sallyport::server
