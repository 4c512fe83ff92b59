#include "server/ticket_store.h"

#include <cstring>
#include <utility>

#include "core/base/random.h"

namespace sallyport::server {

std::size_t TicketStore::Hash::operator()(const base::Sha256& digest) const noexcept {
  std::size_t value = 0;
  std::memcpy(&value, digest.data(), sizeof value);
  return value;
}

std::expected<base::Secret, TicketStore::Denied> TicketStore::issue(Ticket ticket, base::MonoTime now) {
  std::string text = base::random_id(32);
  base::Secret secret(text);
  const base::Sha256 digest = base::sha256(text);
  base::wipe(text.data(), text.size());
  const std::lock_guard lock(mutex_);
  forget(now);
  if (!within_rate(*ticket.principal, now)) return std::unexpected(Denied::kSubjectRate);
  if (order_.size() >= kTicketsMax) return std::unexpected(Denied::kFull);
  tickets_.emplace(digest, Entry{std::move(ticket), now + kLife});
  order_.emplace_back(now + kLife, digest);
  return secret;
}

std::expected<Ticket, TicketStore::Bad> TicketStore::take(std::string_view text, std::string_view path,
                                                          std::string_view origin, base::MonoTime now) {
  const base::Sha256 digest = base::sha256(text);
  std::unordered_map<base::Sha256, Entry, Hash>::node_type node;
  {
    const std::lock_guard lock(mutex_);
    node = tickets_.extract(digest);
  }
  if (node.empty()) return std::unexpected(Bad::kUnknown);
  Entry& entry = node.mapped();
  if (entry.until <= now) return std::unexpected(Bad::kExpired);
  if (entry.ticket.path != path) return std::unexpected(Bad::kWrongPath);
  if (entry.ticket.origin != origin) return std::unexpected(Bad::kWrongOrigin);
  return std::move(entry.ticket);
}

std::size_t TicketStore::size() const {
  const std::lock_guard lock(mutex_);
  return tickets_.size();
}

// A subject's window begins with its first ticket, so a page that reconnects after a storm gets its tickets while
// one that asks in a loop is held up.
bool TicketStore::within_rate(const Principal& who, base::MonoTime now) {
  if (subjects_.size() >= kSubjectsMax) {
    std::erase_if(subjects_, [&](const auto& item) { return now - item.second.begin >= kLife; });
  }
  std::string key(who.issuer.view());
  key += '\n';  // no issuer or subject has a control character
  key += who.subject.view();
  Window& window = subjects_[std::move(key)];
  if (window.issued == 0 || now - window.begin >= kLife) window = {now, 0};
  return ++window.issued <= kPerSubject;
}

void TicketStore::forget(base::MonoTime now) {
  while (!order_.empty() && order_.front().first <= now) {
    tickets_.erase(order_.front().second);
    order_.pop_front();
  }
}

std::string_view describe(TicketStore::Bad bad) noexcept {
  switch (bad) {
    case TicketStore::Bad::kUnknown: return "no such ticket, or it has been used";
    case TicketStore::Bad::kExpired: return "the ticket has expired";
    case TicketStore::Bad::kWrongPath: return "the ticket is for another path";
    case TicketStore::Bad::kWrongOrigin: return "the ticket is for another Origin";
  }
  return "";
}

}  // namespace sallyport::server
