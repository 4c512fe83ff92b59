#include "server/revocations.h"

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <algorithm>
#include <cstring>
#include <utility>

#include "server/events.h"
#include "server/shared.h"
#include "server/visit.h"
#include "server/worker.h"

namespace sallyport::server {
namespace {

constexpr std::size_t kExpiredPerRun = 10'000;
constexpr std::chrono::minutes kSweepEvery{1};  // going over all logout tokens

std::int64_t id_for_log(std::uint64_t id) { return static_cast<std::int64_t>(id); }

void tell(const LogSink& log, const Revocation& revocation, std::size_t closed) {
  const Selector& selector = revocation.selector;
  Event event(log, LogLevel::kInfo, "revocation.applied");
  event.with("id", id_for_log(revocation.id));
  if (selector.issuer) event.with("issuer", *selector.issuer);
  if (selector.subject) event.with("subject", *selector.subject);
  if (selector.session) event.with("session", *selector.session);
  if (selector.token_id) event.with("token_id", *selector.token_id);
  if (selector.issued_before) {
    event.with("issued_before_ms", std::int64_t{selector.issued_before->time_since_epoch().count()});
  }
  event.with("reason", auth::row(revocation.reason).name).with("closed", static_cast<std::int64_t>(closed));
}

}  // namespace

// One change on its way to all workers. Touched on the control thread only.
struct Revocations::Delivery {
  explicit Delivery(boost::asio::io_context& control, std::size_t workers)
      : bell(control, boost::asio::steady_timer::time_point::max()), waiting(workers) {}
  boost::asio::steady_timer bell;
  std::size_t waiting;
  std::size_t closed = 0;
};

// What is written together: everybody who comes before it begins shares one transaction.
struct Revocations::Commit {
  explicit Commit(boost::asio::io_context& control)
      : bell(control, boost::asio::steady_timer::time_point::max()) {}
  boost::asio::steady_timer bell;
  Store::Changes changes;
  std::optional<bool> durable;
};

std::size_t Revocations::DigestHash::operator()(const Store::TokenDigest& digest) const noexcept {
  std::size_t value = 0;
  std::memcpy(&value, digest.data(), sizeof value);
  return value;
}

std::expected<void, std::string> Revocations::open() {
  Store* const store = shared_.options.store.get();
  if (store == nullptr) return {};
  auto contents = store->open(read_clocks().wall);
  if (!contents) return std::unexpected(std::move(contents.error()));
  for (Revocation& revocation : contents->revocations) {
    // One that cannot be held must not be forgotten silently: whoever it means would get in.
    if (!index_.add(std::make_shared<const Revocation>(std::move(revocation)))) {
      return std::unexpected("the store holds more revocations than this version can; lift some of them first");
    }
  }
  for (const Store::SeenToken& token : contents->seen) seen_.emplace(token.digest, token.until);
  last_id_ = contents->last_id;
  return {};
}

void Revocations::close() noexcept {
  commit_.reset();
  if (shared_.options.store != nullptr) shared_.options.store->close();
}

// A subject that is shut out stays so until somebody says otherwise. A session or a token is not issued again, so
// its revocation may end when no credential of it can be left.
std::optional<base::WallTime> Revocations::end_of(const RevokeRequest& request, base::WallTime now) const {
  const auto after = [&](std::chrono::milliseconds keep) { return now + keep; };
  if (request.keep) return after(*request.keep);
  const Selector& selector = request.selector;
  if (!selector.session && !selector.token_id && !selector.issued_before) return std::nullopt;
  return after(shared_.options.keep_revocations);
}

awaitable<std::expected<RevokeResult, RevokeFault>> Revocations::revoke(RevokeRequest request,
                                                                        std::optional<Store::SeenToken> token) {
  const auto began = std::chrono::steady_clock::now();
  const base::WallTime now = read_clocks().wall;
  if (!shared_.serving.load(std::memory_order_acquire)) co_return std::unexpected(RevokeFault::kStopped);
  if (!auth::valid(request.selector)) co_return std::unexpected(RevokeFault::kInvalid);
  if (request.keep && *request.keep <= std::chrono::milliseconds(0)) co_return std::unexpected(RevokeFault::kInvalid);
  if (token) {
    forget_seen(now);
    if (seen_.size() >= kSeenMost) co_return std::unexpected(RevokeFault::kFull);
    if (!seen_.emplace(token->digest, token->until).second) co_return std::unexpected(RevokeFault::kReplayed);
  }
  const auto revocation = std::make_shared<const Revocation>(Revocation{.id = last_id_ + 1,
                                                                        .selector = request.selector,
                                                                        .reason = request.reason,
                                                                        .created = now,
                                                                        .until = end_of(request, now)});
  if (!index_.add(revocation)) {
    if (token) seen_.erase(token->digest);
    co_return std::unexpected(RevokeFault::kFull);
  }
  ++last_id_;
  // At the same time: who is shut out does not wait for a disk.
  const auto delivery = deliver(revocation, 0);
  Store::Changes changes{.put = {*revocation}};
  if (token) changes.seen.push_back(*token);
  const auto written = commit(std::move(changes));
  boost::system::error_code ignored;
  while (delivery->waiting > 0) {
    co_await delivery->bell.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
  }
  const auto took = std::chrono::steady_clock::now() - began;
  lag_.add(static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::microseconds>(took).count()));
  closed_ += delivery->closed;
  tell(shared_.options.log, *revocation, delivery->closed);
  while (!written->durable) {
    co_await written->bell.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
  }
  if (!*written->durable) {
    // Whoever sent the token may send it again.
    if (token) seen_.erase(token->digest);
    co_return std::unexpected(RevokeFault::kNotDurable);
  }
  co_return RevokeResult{
      .id = revocation->id,
      .closed = delivery->closed,
      .nodes = {{.node = shared_.node,
                 .applied = std::chrono::duration_cast<std::chrono::milliseconds>(took)}}};
}

awaitable<std::expected<bool, RevokeFault>> Revocations::lift(std::uint64_t id) {
  if (!shared_.serving.load(std::memory_order_acquire)) co_return std::unexpected(RevokeFault::kStopped);
  if (index_.get(id) == nullptr) co_return false;
  // First the store: what came back after a restart would not have been lifted.
  const auto written = commit({.erase = {id}});
  boost::system::error_code ignored;
  while (!written->durable) {
    co_await written->bell.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
  }
  if (!*written->durable) co_return std::unexpected(RevokeFault::kNotDurable);
  if (!index_.remove(id)) co_return false;  // another one was faster
  const auto delivery = deliver(nullptr, id);
  while (delivery->waiting > 0) {
    co_await delivery->bell.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
  }
  Event(shared_.options.log, LogLevel::kInfo, "revocation.lifted").with("id", id_for_log(id));
  co_return true;
}

std::shared_ptr<Revocations::Delivery> Revocations::deliver(auth::RevocationRef added, std::uint64_t removed) {
  const auto delivery = std::make_shared<Delivery>(*shared_.control, shared_.workers.size());
  for (const auto& worker : shared_.workers) {
    worker->post([target = worker.get(), added, removed, delivery, control = shared_.control] {
      const std::size_t closed = added != nullptr ? target->apply_revocation(added) : 0;
      if (removed != 0) target->lift_revocation(removed);
      boost::asio::post(*control, [delivery, closed] {
        delivery->closed += closed;
        if (--delivery->waiting == 0) delivery->bell.cancel();
      });
    });
  }
  return delivery;
}

std::shared_ptr<Revocations::Commit> Revocations::commit(Store::Changes changes) {
  if (commit_ == nullptr) {
    commit_ = std::make_shared<Commit>(*shared_.control);
    boost::asio::post(*shared_.control, [this] { flush(); });
  }
  Store::Changes& all = commit_->changes;
  const auto append = [](auto& to, auto& from) {
    to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
  };
  append(all.put, changes.put);
  append(all.erase, changes.erase);
  append(all.seen, changes.seen);
  return commit_;
}

void Revocations::flush() {
  const auto now = std::exchange(commit_, nullptr);
  if (now == nullptr) return;
  now->durable = true;
  if (shared_.options.store != nullptr) {
    const auto written = shared_.options.store->write(now->changes);
    if (!written) {
      ++store_failures_;
      now->durable = false;
      Event(shared_.options.log, LogLevel::kError, "store.write_failed")
          .with("detail", written.error())
          .with("advice", "revocations hold in this process only, until the store can be written again");
    }
  }
  now->bell.cancel();
}

void Revocations::met(std::uint64_t id, base::WallTime until) {
  const auto known = index_.get(id);
  if (known == nullptr || !known->until || *known->until >= until) return;
  auto longer = std::make_shared<Revocation>(*known);
  longer->until = until == base::kForever ? std::nullopt : std::optional(until);
  if (!index_.add(longer)) return;  // it is there already, so there is room
  (void)deliver(longer, 0);
  (void)commit({.put = {*longer}});
}

void Revocations::expire() {
  const base::WallTime now = read_clocks().wall;
  index_.expire(now, kExpiredPerRun);
  forget_seen(now);
  for (const auto& worker : shared_.workers) {
    worker->post([target = worker.get(), now] { target->expire_revocations(now, kExpiredPerRun); });
  }
}

void Revocations::forget_seen(base::WallTime now) {
  if (now - swept_ < kSweepEvery && seen_.size() < kSeenMost) return;
  swept_ = now;
  std::erase_if(seen_, [now](const auto& entry) { return entry.second <= now; });
}

}  // namespace sallyport::server
