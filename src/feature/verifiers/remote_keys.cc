#include "feature/verifiers/remote_keys.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <stdexcept>
#include <utility>

#include "core/base/random.h"
#include "io/ask.h"
#include "server/events.h"

namespace sallyport {
namespace {

namespace asio = boost::asio;
using server::Event;
using std::chrono::milliseconds;

constexpr milliseconds kOptionMax = std::chrono::days(365);

base::MonoTime mono_now() {
  return std::chrono::floor<milliseconds>(std::chrono::steady_clock::now());
}

bool has_kid(const jose::KeySet& keys, std::string_view kid) {
  return std::ranges::any_of(keys.keys(), [kid](const jose::Key& key) { return key.kid() == kid; });
}

void require(bool sound, const char* what) {
  if (!sound) throw std::invalid_argument(what);
}

void check(const JwksOptions& options) {
  require(options.timeout > milliseconds(0) && options.timeout <= kOptionMax,
          "timeout must be more than 0 and at most a year");
  require(options.cooldown >= milliseconds(0) && options.cooldown <= kOptionMax,
          "cooldown must be at least 0 and at most a year");
  require(options.refresh_min > milliseconds(0), "refresh_min must be more than 0");
  require(options.refresh_min <= options.refresh_max, "refresh_min must not be above refresh_max");
  require(options.refresh_max <= kOptionMax, "refresh_max must be at most a year");
  require(options.refresh_default > milliseconds(0) && options.refresh_default <= kOptionMax,
          "refresh_default must be more than 0 and at most a year");
  require(options.stale_max >= milliseconds(0) && options.stale_max <= kOptionMax,
          "stale_max must be at least 0 and at most a year");
}

std::shared_ptr<KeySource> make_source(io::HttpUrl url, bool discovery, const JwksOptions& options, KeyUser user) {
  const bool symmetric = std::ranges::any_of(user.algorithms, [](jose::Algorithm algorithm) {
    return jose::family_of(algorithm) == jose::Family::kHmac;
  });
  require(!symmetric, "HS* needs a secret, and keys that can be fetched are none; leave it out of the algorithms");
  return std::make_shared<RemoteKeys>(std::move(url), discovery, options, std::move(user));
}

Keys keys_from(std::function<std::shared_ptr<KeySource>(KeyUser)> make) {
  return Keys(std::make_shared<const Keys::Loaded>(Keys::Loaded{.keys = {}, .make_source = std::move(make)}));
}

// Holds a place among those who wait, from the worker's question to the control thread's answer, whichever of the
// two ends later.
std::shared_ptr<void> take_place(std::shared_ptr<RemoteKeys> keys, std::atomic<std::size_t>& taken) {
  if (taken.fetch_add(1, std::memory_order_relaxed) >= RemoteKeys::kWaitingMax) {
    taken.fetch_sub(1, std::memory_order_relaxed);
    return nullptr;
  }
  return {&taken, [keys = std::move(keys)](std::atomic<std::size_t>* count) {
            count->fetch_sub(1, std::memory_order_relaxed);
          }};
}

}  // namespace

RemoteKeys::RemoteKeys(io::HttpUrl url, bool discovery, const JwksOptions& options, KeyUser user)
    : url_(std::move(url)),
      discovery_(discovery),
      timeout_(options.timeout),
      policy_{.cooldown = options.cooldown,
              .refresh_min = options.refresh_min,
              .refresh_max = options.refresh_max,
              .refresh_default = options.refresh_default,
              .stale_max = options.stale_max},
      user_(std::move(user)),
      refresh_(policy_) {}

void RemoteKeys::start(const VerifierHost& host) {
  {
    const std::lock_guard lock(mutex_);
    if (control_ != nullptr) return;
    control_ = &host.control;
    keys_ = {};
    refresh_ = jose::KeyRefresh(policy_);
  }
  log_ = host.log;
  digest_.reset();
  fetch_ = std::make_shared<KeyFetch>(host.control, url_, discovery_ ? std::optional(user_.issuer) : std::nullopt,
                                      timeout_);
  timer_.emplace(host.control);
  begin_fetch(true);
}

void RemoteKeys::stop() noexcept {
  {
    const std::lock_guard lock(mutex_);
    control_ = nullptr;
  }
  timer_.reset();
  fetch_.reset();
}

jose::KeySet RemoteKeys::current() const {
  const base::MonoTime now = mono_now();
  const std::lock_guard lock(mutex_);
  return refresh_.usable(now) ? keys_ : jose::KeySet();
}

bool RemoteKeys::ready() const noexcept {
  const base::MonoTime now = mono_now();
  const std::lock_guard lock(mutex_);
  return refresh_.usable(now);
}

std::optional<KeySource::Search> RemoteKeys::recall(std::string_view kid) const {
  const base::MonoTime now = mono_now();
  const std::lock_guard lock(mutex_);
  if (control_ == nullptr) return Search::kUnavailable;
  if (!kid.empty() && refresh_.usable(now) && has_kid(keys_, kid)) return Search::kRefreshed;
  switch (refresh_.recall(kid, now)) {
    case jose::KeyAbsence::kUnknown: return Search::kUnknown;
    case jose::KeyAbsence::kUnavailable: return Search::kUnavailable;
    case jose::KeyAbsence::kAsk: break;
  }
  return std::nullopt;
}

milliseconds RemoteKeys::patience() const noexcept {
  return discovery_ ? 2 * timeout_ : timeout_;  // metadata and keys are asked for one after the other
}

awaitable<KeySource::Search> RemoteKeys::find(std::string kid) {
  asio::io_context* control = nullptr;
  {
    const std::lock_guard lock(mutex_);
    control = control_;
  }
  const std::shared_ptr<void> place = take_place(shared_from_this(), waiting_);
  if (control == nullptr || place == nullptr) co_return Search::kUnavailable;
  std::function<awaitable<Search>()> question = [this, place, kid = std::move(kid)] { return find_here(kid); };
  co_return co_await io::ask<Search>(*control, std::move(question));
}

// The question holds a place, and that holds this object.
awaitable<KeySource::Search> RemoteKeys::find_here(std::string kid) {
  if (const auto known = recall(kid)) co_return *known;
  Waiter waiter{.kid = kid,
                .bell = asio::steady_timer(timer_->get_executor(), asio::steady_timer::time_point::max())};
  struct Queue {
    std::list<Waiter*>& waiters;
    std::list<Waiter*>::iterator place;
    ~Queue() { waiters.erase(place); }
  } queue{waiters_, waiters_.insert(waiters_.end(), &waiter)};
  begin_fetch(false);
  if (!waiter.answer) {
    boost::system::error_code ignored;
    co_await waiter.bell.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  co_return waiter.answer.value_or(Search::kUnavailable);
}

// If one is in flight it serves this question too.
void RemoteKeys::begin_fetch(bool thorough) {
  {
    const std::lock_guard lock(mutex_);
    if (control_ == nullptr || refresh_.in_flight()) return;
    refresh_.begin(!thorough);
  }
  timer_->cancel();
  asio::co_spawn(timer_->get_executor(), fetch(shared_from_this(), fetch_, thorough), asio::detached);
}

awaitable<void> RemoteKeys::fetch(std::shared_ptr<RemoteKeys> self, std::shared_ptr<KeyFetch> by, bool thorough) {
  Result result = std::unexpected(KeyFault{"the keys could not be fetched", "this machine is short of something"});
  try {
    result = co_await by->run(thorough);
  } catch (const std::exception&) {
    // Out of memory or descriptors, for example: it counts like any other failure.
  }
  // Otherwise it has been stopped meanwhile.
  if (self->fetch_ == by) self->finish(std::move(result));
}

void RemoteKeys::finish(Result result) {
  const base::MonoTime now = mono_now();
  const std::uint32_t chance = base::random_u32();
  if (result) {
    const bool changed = digest_ != result->digest;
    const bool recovered = refresh_.failures() > 0;
    {
      const std::lock_guard lock(mutex_);
      // The same answer keeps the same set: nobody needs to look again.
      if (changed) keys_ = result->keys;
      refresh_.succeed(now, result->max_age, chance);
    }
    // Afterwards: who knows the new epoch must not meet the old keys.
    if (changed) epoch_.fetch_add(1, std::memory_order_release);
    digest_ = result->digest;
    log_success(result->keys, changed || recovered, now);
  } else {
    {
      const std::lock_guard lock(mutex_);
      refresh_.fail(now, chance);
    }
    log_failure(result.error(), now);
  }
  answer_waiters(result.has_value(), now);
  schedule();
}

void RemoteKeys::answer_waiters(bool success, base::MonoTime now) {
  const std::lock_guard lock(mutex_);
  for (Waiter* const waiter : waiters_) {
    // A token that names no key may mean any of them.
    const bool found = success && (waiter->kid.empty() || has_kid(keys_, waiter->kid));
    waiter->answer = found ? Search::kRefreshed : success ? Search::kUnknown : Search::kUnavailable;
    if (success && !found) refresh_.missed(waiter->kid, now);
    waiter->bell.cancel();
  }
}

void RemoteKeys::schedule() {
  base::MonoTime due;
  {
    const std::lock_guard lock(mutex_);
    due = refresh_.due();
  }
  timer_->expires_at(due);
  timer_->async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    if (error) return;
    if (const auto self = weak.lock()) self->begin_fetch(true);
  });
}

void RemoteKeys::log_success(const jose::KeySet& keys, bool news, base::MonoTime now) const {
  Event(log_, news ? LogLevel::kInfo : LogLevel::kDebug, "keys.fetched")
      .with("verifier", user_.verifier)
      .with("keys", static_cast<std::int64_t>(keys.size()))
      .with("ignored", static_cast<std::int64_t>(keys.notes().size()))
      .with("next_ms", std::int64_t{(refresh_.due() - now).count()});
  if (!news) return;
  if (const std::string misfit = misfit_of(keys, user_.algorithms); !misfit.empty()) {
    Event(log_, LogLevel::kWarn, "keys.unfit")
        .with("verifier", user_.verifier)
        .with("detail", misfit)
        .with("hint", "every token is refused; correct the verifier's algorithms");
  }
}

// No more often than fetches are tried: pauses grow to a minute.
void RemoteKeys::log_failure(const KeyFault& fault, base::MonoTime now) const {
  const bool usable = refresh_.usable(now);
  Event(log_, usable ? LogLevel::kWarn : LogLevel::kError, "keys.fetch_failed")
      .with("verifier", user_.verifier)
      .with("detail", fault.detail)
      .with("hint", fault.hint)
      .with("effect", usable ? "the last keys stay in use; tokens of other keys are \"unavailable\""
                             : "there are no keys: every token is \"unavailable\"")
      .with("failures", std::int64_t{refresh_.failures()})
      .with("next_ms", std::int64_t{(refresh_.due() - now).count()});
}

Keys jwks(std::string url, JwksOptions options) {
  check(options);
  auto parsed = io::HttpUrl::parse(url);
  if (!parsed) throw std::invalid_argument("jwks: " + parsed.error());
  return keys_from([place = std::move(*parsed), options](KeyUser user) {
    return make_source(place, false, options, std::move(user));
  });
}

Keys discovered(JwksOptions options) {
  check(options);
  return keys_from([options](KeyUser user) {
    auto place = discovery_url(user.issuer);
    if (!place) throw std::invalid_argument(place.error());
    return make_source(std::move(*place), true, options, std::move(user));
  });
}

}  // namespace sallyport
