// A connection that goes on where another one stopped.

#include <algorithm>
#include <utility>

#include "core/auth/permit.h"
#include "core/base/random.h"
#include "server/connection.h"
#include "server/handshake.h"
#include "server/resume_track.h"
#include "server/worker.h"

namespace sallyport::server {
namespace {

// Of a send queue's limit, what a replay may take: the rest is for what is published meanwhile.
constexpr std::size_t kReplayShare = 2;
constexpr std::size_t kReplayMost = 4096;  // publications; of more than that the latest

// Whether an end is one that a client comes back from as the same login. What was decided against it is not.
bool comes_back(const std::optional<Failure>& failure) {
  if (!failure) return true;
  switch (*failure) {
    case Failure::kIdleTimeout:
    case Failure::kSlowConsumer:
    case Failure::kTokenExpired:
    case Failure::kSessionEnded: return true;
    default: return false;
  }
}

}  // namespace

// ---- Tokens

void Connection::send_ready() {
  const bool expects_it = control_protocol_ || (verification_ != nullptr &&
                                                verification_->kind() == CredentialKind::kFirstMessage);
  if (!expects_it) return;
  std::string text;
  if (route_->hub && !route_->anonymous && route_->spec.resume.count() > 0) {
    if (resume_ == nullptr) resume_ = std::make_unique<ResumeTrack>();
    text = base::random_id(32);
    resume_->token = base::sha256(text);
    resume_->began_at = worker_.hub().delivered();
    resume_->given = true;
    worker_.shared().resumes.open(resume_->token, place());
  }
  std::string message = auth::ready_message(text_of(id_), principal(), text);
  say(message);
  base::wipe(text.data(), text.size());
  base::wipe(message.data(), message.size());
  if (resume_ == nullptr || resume_->request == nullptr || dropped()) return;
  if (resume_->given) return begin_resume();
  resume_.reset();  // the route does not resume
  ++worker_.metrics().resume_refused;
  say(auth::error_message("resume_refused", {}));
}

void Connection::ask_resume(const auth::ControlMessage& message) {
  if (!route_->hub || message.resume.empty()) return;
  if (resume_ == nullptr) resume_ = std::make_unique<ResumeTrack>();
  resume_->may_ask = false;
  resume_->request = std::make_unique<ResumeRequest>(ResumeRequest{
      .token = base::sha256(message.resume.reveal()), .received = message.received, .id = message.id});
}

void Connection::take_resume(const auth::ControlMessage& message) {
  if (resume_ == nullptr || !resume_->given || !resume_->may_ask) {
    return say(auth::error_message(reason(Failure::kBadRequest), message.id));
  }
  ask_resume(message);
  begin_resume();
}

// ---- Taking over

void Connection::begin_resume() {
  Shared& shared = worker_.shared();
  const ResumeStore::Token token = resume_->request->token;
  auto taken = shared.resumes.take(token, principal(), route_->path, worker_.now().mono);
  if (auto* const state = std::get_if<ResumeState>(&taken)) return settle_resume(std::move(*state));
  const auto* const seems_open = std::get_if<Place>(&taken);
  if (seems_open == nullptr || *seems_open == place()) return settle_resume({});
  Worker& theirs = *shared.workers[seems_open->worker];
  if (&theirs == &worker_) return settle_resume(hand_over(theirs, *seems_open, token, principal(), route_->path));
  // Until the answer is there nothing is read, and `on_open` waits: what it says or joins comes after the replay.
  resume_->pending = true;
  theirs.post([&theirs, &mine = worker_, from = *seems_open, to = place(), token, own = resume_->token,
               who = identity_of(principal()), path = route_->path, keep = route_->spec.resume] {
    mine.post([&mine, to, own, keep, state = hand_over(theirs, from, token, who, path)]() mutable {
      Connection* const self = mine.find(to.slot, to.generation);
      if (self != nullptr && self->resume_ != nullptr && self->resume_->pending) {
        return self->resume_answered(std::move(state));
      }
      // It has ended meanwhile. The peer may hold its token: that is worth now what the other one was.
      if (!state || mine.revoked(state->principal)) return;
      const base::MonoTime now = mine.now().mono;
      mine.shared().resumes.keep(own, std::move(*state), now + keep, now);
    });
  });
}

// On the worker of the old connection: the server has not noticed that it is dead, or it is not. It ends, and what it
// leaves behind is not kept for anybody else.
std::optional<ResumeState> Connection::hand_over(Worker& worker, Place place, const ResumeStore::Token& token,
                                                 const Principal& who, std::string_view route) {
  Connection* const old = worker.find(place.slot, place.generation);
  if (old == nullptr || !old->state_.authenticated()) {
    auto taken = worker.shared().resumes.take(token, who, route, worker.now().mono);
    auto* const state = std::get_if<ResumeState>(&taken);
    return state != nullptr ? std::optional(std::move(*state)) : std::nullopt;
  }
  ResumeTrack* const track = old->resume_.get();
  if (track == nullptr || !track->given || track->pending || track->token != token) return std::nullopt;
  ResumeState state = old->resume_state();
  if (!belongs(state, who, route)) return std::nullopt;
  worker.shared().resumes.forget(token);
  worker.keep_until_turn_ends(std::shared_ptr<ResumeTrack>(std::exchange(old->resume_, nullptr)));
  old->apply(auth::CloseRequested{Failure::kEvicted});
  return state;
}

// The other connection's worker may have delivered what this one has yet to deliver. It would come once more if the
// channels were joined now.
void Connection::settle_resume(std::optional<ResumeState> state) {
  if (!state || !worker_.behind(state->end)) return finish_resume(std::move(state));
  resume_->pending = true;
  resume_->taken = std::make_unique<ResumeState>(std::move(*state));
  worker_.call_caught_up(*this);
}

void Connection::caught_up() {
  if (resume_ == nullptr || resume_->taken == nullptr) return;
  const std::unique_ptr<ResumeState> taken = std::exchange(resume_->taken, nullptr);
  resume_answered(std::move(*taken));
}

void Connection::resume_answered(std::optional<ResumeState> state) {
  resume_->pending = false;
  settle_resume(std::move(state));
  if (dropped() || (resume_ != nullptr && resume_->pending)) return;
  if (resume_ != nullptr && std::exchange(resume_->open_owed, false)) run_open();
  if (!listed_) resume();
}

void Connection::finish_resume(std::optional<ResumeState> state) {
  const std::unique_ptr<ResumeRequest> request = std::exchange(resume_->request, nullptr);
  if (!state_.authenticated()) return;
  WorkerMetrics& metrics = worker_.metrics();
  // A revocation may mean the credential of then and not the one of now.
  if (!state || worker_.revoked(state->principal)) {
    ++metrics.resume_refused;
    return say(auth::error_message("resume_refused", request->id));
  }
  if (!outbox_.empty()) flush_outbox();  // so that it is known how much room there is
  if (dropped()) return;
  Hub& hub = worker_.hub();
  std::vector<History::Wanted> wanted;
  wanted.reserve(state->channels.size());
  for (const ResumeState::Channel& channel : state->channels) {
    const bool by_count = request->received && !state->lossy;
    wanted.push_back({channel.name, by_count ? channel.since : std::max(channel.since, state->arrived)});
  }
  // Everything up to `delivered` is remembered or forgotten by now; from here on the channels bring what follows.
  Replay replay = replay_of(*state, request->received, worker_.shared().history.find(wanted, hub.delivered()));
  const std::vector<Rejoined> joined = rejoin(*state);
  std::erase_if(replay.entries, [&](const History::Entry& entry) {
    return !joined[entry.wanted].refused.empty() || entry.number > joined[entry.wanted].until;
  });
  fit(replay);
  std::vector<std::string> names;
  for (std::size_t i = 0; i < joined.size(); ++i) {
    const ResumeState::Channel& channel = state->channels[i];
    if (!joined[i].refused.empty()) continue;
    names.push_back(channel.name);
    hub.caught_up(*this, channel.name, std::max(replay.after, channel.since));
  }
  say(auth::resumed_message(names, replay.gap, request->id));
  for (std::size_t i = 0; i < joined.size(); ++i) {
    if (joined[i].refused.empty()) continue;
    say(auth::unsubscribed_message(state->channels[i].name, joined[i].refused));
  }
  if (!replay.entries.empty() && worker_.corked(*this)) flush_outbox();
  for (const History::Entry& entry : replay.entries) {
    if (dropped()) return;
    worker_.spend_flow();
    hand(entry.frame, entry.number);
  }
  ++metrics.resumed;
  if (replay.gap) ++metrics.resume_gaps;
}

// Joins the channels anew, as far as that is permitted now.
std::vector<Connection::Rejoined> Connection::rejoin(const ResumeState& state) {
  Hub& hub = worker_.hub();
  const RequestState* const context = handshake_ != nullptr ? &handshake_->request() : context_.get();
  const auth::ParamLookup params = [context](std::string_view name) {
    return context != nullptr ? context->param(name) : std::string_view();
  };
  std::vector<Rejoined> all;
  for (const ResumeState::Channel& channel : state.channels) {
    Rejoined& one = all.emplace_back();
    // `on_open` may have joined it: then what came since has been handed over already.
    for (const Subscription& mine : subscriptions_) {
      if (Hub::name_of(*mine.channel) == channel.name) one.until = mine.since;
    }
    if (!auth::permitted(route_->permits, auth::ChannelAction::kSubscribe, channel.name, principal(), params)) {
      one.refused = reason(Failure::kForbidden);
      continue;
    }
    const Hub::Joined joined = hub.subscribe(*this, channel.name);
    if (joined == Hub::Joined::kTooMany) one.refused = "too_many_channels";
    if (joined == Hub::Joined::kAlready) resume_->countable_after = hub.delivered();
  }
  return all;
}

// What a slow peer's queue has no room for is not sent: the latest is worth most.
void Connection::fit(Replay& replay) const {
  const std::size_t limit = route_->spec.limits.send_queue_bytes / kReplayShare;
  std::size_t room = limit - std::min(limit, outbox_.bytes());
  std::size_t first = replay.entries.size();
  while (first > 0 && replay.entries.size() - first < kReplayMost) {
    const std::size_t size = replay.entries[first - 1].frame->size();
    if (size > room) break;
    room -= size;
    --first;
  }
  if (first == 0) return;
  replay.gap = true;
  replay.after = replay.entries[first - 1].number;
  replay.entries.erase(replay.entries.begin(), replay.entries.begin() + static_cast<std::ptrdiff_t>(first));
}

// ---- Where it stops

void Connection::left_channel() noexcept {
  if (resume_ != nullptr) resume_->countable_after = worker_.hub().delivered();
}

void Connection::hand(const Frame& frame, std::uint64_t number) {
  outbox_.push(frame);
  ++worker_.metrics().messages_out;
  written();
  if (resume_ == nullptr) return;
  ++resume_->delivered;
  resume_->inflight.add(bytes_out_ + outbox_.bytes(), number);
  if (resume_->inflight.due()) note_arrived();
}

// What the kernel has taken is not what the peer has received. Over TLS the kernel counts more bytes than we do, so
// some that have arrived count as on their way.
void Connection::note_arrived() {
  if (resume_ == nullptr || resume_->inflight.empty()) return;
  const auto unacknowledged = stream_.unacknowledged();
  if (unacknowledged && *unacknowledged <= bytes_out_) resume_->inflight.arrived(bytes_out_ - *unacknowledged);
}

void Connection::note_dropped() {
  if (resume_ == nullptr) return;
  resume_->lossy = true;
  resume_->inflight.blur(bytes_out_ + outbox_.bytes());
}

void Connection::note_cut() {
  if (resume_ != nullptr) resume_->inflight.cut(bytes_out_ + outbox_.bytes());
}

ResumeState Connection::resume_state() {
  note_arrived();
  const ResumeTrack& track = *resume_;
  ResumeState state{.route = route_->path, .principal = identity_of(principal())};
  for (const Subscription& mine : subscriptions_) state.channels.push_back({Hub::name_of(*mine.channel), mine.since});
  state.end = worker_.hub().delivered_to(*this);
  const auto first = track.inflight.first();
  state.arrived = first ? std::min(*first - 1, state.end) : state.end;
  state.delivered = track.delivered;
  state.countable_after = track.countable_after;
  state.lossy = track.lossy || worker_.last_dropped_publication() > track.began_at;
  return state;
}

// It ends: while it still is in its channels.
void Connection::stop_resumable() {
  if (resume_ == nullptr || !resume_->given || resume_->pending) return;
  resume_->left = std::make_unique<ResumeState>(resume_state());
}

void Connection::settle_resumable(const std::optional<Failure>& failure) {
  if (resume_ == nullptr || !resume_->given) return;
  std::shared_ptr<ResumeTrack> track = std::exchange(resume_, nullptr);
  ResumeStore& store = worker_.shared().resumes;
  const bool by_application = !failure && close_sent_ && !closed_by_peer_;
  // Before it could say so, it went on where another one had stopped: whoever comes after it does.
  if (track->taken != nullptr) track->left = std::move(track->taken);
  if (track->left != nullptr && route_->spec.resume.count() > 0 && !by_application && comes_back(failure)) {
    const base::MonoTime now = worker_.now().mono;
    store.keep(track->token, std::move(*track->left), now + route_->spec.resume, now);
  } else {
    store.forget(track->token);
  }
  worker_.keep_until_turn_ends(std::move(track));  // a delivery of its own may have ended it
}

base::Milliseconds history_age(const RouteTable& routes) {
  // A connection can have been dead for that long before the server notices.
  constexpr base::Milliseconds kUnnoticed{5 * 60'000};
  base::Milliseconds age{0};
  for (const auto& route : routes.ws_routes()) {
    if (!route->hub || route->spec.resume.count() <= 0) continue;
    age = std::max(age, route->spec.resume + std::min(kUnnoticed, route->policy.idle_timeout));
  }
  return age;
}

}  // namespace sallyport::server
