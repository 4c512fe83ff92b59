#include "core/auth/revocation.h"

#include <algorithm>

namespace sallyport::auth {

bool valid(const Selector& selector) noexcept {
  const auto stated = [](const std::optional<std::string>& text) { return text.has_value(); };
  const auto empty = [](const std::optional<std::string>& text) { return text && text->empty(); };
  if (empty(selector.issuer) || empty(selector.subject) || empty(selector.session) || empty(selector.token_id)) {
    return false;
  }
  return stated(selector.issuer) || stated(selector.subject) || stated(selector.session) ||
         stated(selector.token_id) || selector.issued_before.has_value();
}

bool matches(const Selector& selector, const Principal& who) noexcept {
  const auto other = [](const std::optional<std::string>& wanted, const Text& value) {
    return wanted && value != *wanted;
  };
  if (other(selector.issuer, who.issuer) || other(selector.subject, who.subject) ||
      other(selector.session, who.session) || other(selector.token_id, who.token_id)) {
    return false;
  }
  return !selector.issued_before || !who.issued_at || *who.issued_at < *selector.issued_before;
}

RevocationIndex::Kind RevocationIndex::kind_of(const Selector& selector) noexcept {
  if (selector.token_id) return Kind::kTokenId;
  if (selector.session) return Kind::kSession;
  if (selector.subject) return Kind::kSubject;
  return Kind::kBroad;
}

const std::string& RevocationIndex::name_of(const Selector& selector, Kind kind) noexcept {
  switch (kind) {
    case Kind::kTokenId: return *selector.token_id;
    case Kind::kSession: return *selector.session;
    case Kind::kSubject:
    case Kind::kBroad: break;
  }
  return *selector.subject;
}

bool RevocationIndex::add(RevocationRef revocation) {
  const auto known = by_id_.find(revocation->id);
  const Kind kind = kind_of(revocation->selector);
  if (known != by_id_.end()) {
    unlink(known->second);
    by_id_.erase(known);
  } else if (by_id_.size() >= kMost || (kind == Kind::kBroad && broad_.size() >= kMostBroad)) {
    return false;
  }
  List& list = kind == Kind::kBroad ? broad_ : map_of(kind)[name_of(revocation->selector, kind)];
  list.insert(std::upper_bound(list.begin(), list.end(), revocation,
                               [](const auto& a, const auto& b) { return a->id < b->id; }),
              revocation);
  if (revocation->until) ends_.emplace(*revocation->until, revocation->id);
  const std::uint64_t id = revocation->id;
  by_id_.emplace(id, std::move(revocation));
  return true;
}

void RevocationIndex::unlink(const RevocationRef& revocation) {
  const Kind kind = kind_of(revocation->selector);
  if (kind == Kind::kBroad) {
    std::erase(broad_, revocation);
  } else {
    Map& map = map_of(kind);
    const auto found = map.find(name_of(revocation->selector, kind));
    std::erase(found->second, revocation);
    if (found->second.empty()) map.erase(found);
  }
  if (!revocation->until) return;
  auto [end, last] = ends_.equal_range(*revocation->until);
  while (end != last && end->second != revocation->id) ++end;
  if (end != last) ends_.erase(end);
}

bool RevocationIndex::remove(std::uint64_t id) {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return false;
  unlink(found->second);
  by_id_.erase(found);
  return true;
}

RevocationRef RevocationIndex::find(const Principal& who, base::WallTime now) const {
  const RevocationRef* best = nullptr;
  const auto look = [&](const List& list) {
    for (const RevocationRef& revocation : list) {
      if (best != nullptr && (*best)->id < revocation->id) return;
      if (revocation->until && *revocation->until <= now) continue;
      if (!matches(revocation->selector, who)) continue;
      best = &revocation;
      return;
    }
  };
  const auto look_up = [&](Kind kind, const Text& name) {
    const Map& map = maps_[static_cast<std::size_t>(kind)];
    if (name.empty() || map.empty()) return;
    const auto found = map.find(name.view());
    if (found != map.end()) look(found->second);
  };
  look_up(Kind::kTokenId, who.token_id);
  look_up(Kind::kSession, who.session);
  look_up(Kind::kSubject, who.subject);
  look(broad_);
  return best != nullptr ? *best : nullptr;
}

RevocationRef RevocationIndex::get(std::uint64_t id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : found->second;
}

std::size_t RevocationIndex::expire(base::WallTime now, std::size_t budget) {
  std::size_t forgotten = 0;
  while (forgotten < budget && !ends_.empty() && ends_.begin()->first <= now) {
    remove(ends_.begin()->second);
    ++forgotten;
  }
  return forgotten;
}

std::vector<RevocationRef> RevocationIndex::all() const {
  std::vector<RevocationRef> list;
  list.reserve(by_id_.size());
  for (const auto& [id, revocation] : by_id_) list.push_back(revocation);
  return list;
}

}  // namespace sallyport::auth

namespace sallyport {

std::string_view describe(RevokeFault fault) noexcept {
  switch (fault) {
    case RevokeFault::kInvalid: return "the selector says nothing, or something empty";
    case RevokeFault::kFull: return "too many revocations are in force";
    case RevokeFault::kNotDurable: return "it holds in this process, but the store could not be written";
    case RevokeFault::kReplayed: return "the logout token has been used before";
    case RevokeFault::kStopped: return "the app does not run";
  }
  return "";
}

}  // namespace sallyport
