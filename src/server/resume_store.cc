#include "server/resume_store.h"

#include <algorithm>
#include <utility>

#include "core/auth/revocation.h"

namespace sallyport::server {

void ResumeStore::open(const Token& token, Place place) {
  const std::lock_guard lock(mutex_);
  tokens_.insert_or_assign(token, place);
}

void ResumeStore::forget(const Token& token) {
  const std::lock_guard lock(mutex_);
  const auto found = tokens_.find(token);
  if (found == tokens_.end()) return;
  if (const auto* const slot = std::get_if<std::uint32_t>(&found->second)) return drop(*slot);
  tokens_.erase(found);
}

void ResumeStore::keep(const Token& token, ResumeState state, base::MonoTime until, base::MonoTime now) {
  const std::lock_guard lock(mutex_);
  expire_some(now);
  if (const auto found = tokens_.find(token); found != tokens_.end()) {
    if (const auto* const slot = std::get_if<std::uint32_t>(&found->second)) drop(*slot);
  }
  make_room(state.principal);
  std::uint32_t slot = 0;
  if (!free_.empty()) {
    slot = free_.back();
    free_.pop_back();
  } else {
    slot = static_cast<std::uint32_t>(kept_.size());
    kept_.emplace_back();
  }
  index_.enter(slot, state.principal, slot);
  kept_[slot] = {.token = token, .state = std::move(state), .end = ends_.emplace(until, slot), .used = true};
  tokens_.insert_or_assign(token, slot);
}

ResumeStore::Taken ResumeStore::take(const Token& token, const Principal& who, std::string_view route,
                                     base::MonoTime now) {
  const std::lock_guard lock(mutex_);
  const auto found = tokens_.find(token);
  if (found == tokens_.end()) return {};
  // Whose it is only the connection knows at this moment: a refresh may change the session.
  if (const auto* const place = std::get_if<Place>(&found->second)) return *place;
  const std::uint32_t slot = std::get<std::uint32_t>(found->second);
  Kept& kept = kept_[slot];
  if (kept.end->first <= now) {
    drop(slot);
    return {};
  }
  if (!belongs(kept.state, who, route)) return {};
  ResumeState state = std::move(kept.state);
  drop(slot);
  return state;
}

std::size_t ResumeStore::drop_matching(const Selector& selector) {
  std::vector<std::uint32_t> meant;
  const std::lock_guard lock(mutex_);
  const auto judge = [&](std::uint32_t slot) {
    if (kept_[slot].used && auth::matches(selector, kept_[slot].state.principal)) meant.push_back(slot);
  };
  if (selector.token_id || selector.session || selector.subject) {
    index_.candidates(selector, judge);
  } else {
    for (std::uint32_t slot = 0; slot < kept_.size(); ++slot) judge(slot);
  }
  for (const std::uint32_t slot : meant) drop(slot);
  return meant.size();
}

void ResumeStore::expire(base::MonoTime now) {
  const std::lock_guard lock(mutex_);
  while (!ends_.empty() && ends_.begin()->first <= now) drop(ends_.begin()->second);
}

void ResumeStore::expire_some(base::MonoTime now) {
  for (int i = 0; i < 4 && !ends_.empty() && ends_.begin()->first <= now; ++i) drop(ends_.begin()->second);
}

// Of one subject the one that ends first goes, otherwise of all.
void ResumeStore::make_room(const Principal& who) {
  std::size_t count = 0;
  std::uint32_t first = 0;
  index_.candidates({.subject = who.subject.str()}, [&](std::uint32_t slot) {
    const Kept& kept = kept_[slot];
    if (kept.state.principal.subject != who.subject || kept.state.principal.issuer != who.issuer) return;
    if (count++ == 0 || kept.end->first < kept_[first].end->first) first = slot;
  });
  if (count >= kPerSubject) {
    drop(first);
  } else if (ends_.size() >= kStatesMost) {
    drop(ends_.begin()->second);
  }
}

void ResumeStore::drop(std::uint32_t slot) {
  Kept& kept = kept_[slot];
  tokens_.erase(kept.token);
  ends_.erase(kept.end);
  index_.leave(slot);
  kept.state = {};
  kept.used = false;
  free_.push_back(slot);
}

std::size_t ResumeStore::states() const {
  const std::lock_guard lock(mutex_);
  return ends_.size();
}

std::size_t ResumeStore::tokens() const {
  const std::lock_guard lock(mutex_);
  return tokens_.size();
}

}  // namespace sallyport::server
