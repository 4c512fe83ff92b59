#include "feature/verifiers/question.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstring>
#include <utility>

namespace sallyport {

std::size_t DigestHash::operator()(const base::Sha256& digest) const noexcept {
  std::size_t value = 0;
  std::memcpy(&value, digest.data(), sizeof value);
  return value;
}

awaitable<Verdict> Questions::ask(base::Sha256 about, std::function<awaitable<Verdict>()> ask) {
  if (const auto found = flights_.find(about); found != flights_.end()) {
    if (waiting_ >= kWaitingMax) co_return Verdict::unavailable("too many wait for an answer");
    const std::shared_ptr<Flight> flight = found->second;
    ++waiting_;
    boost::system::error_code ignored;
    co_await flight->bell.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
    --waiting_;
    co_return flight->answer.value_or(Verdict::unavailable("the question was given up"));
  }
  const auto flight = std::make_shared<Flight>(control_);
  flights_.emplace(about, flight);
  try {
    flight->answer = co_await ask();
  } catch (const std::exception&) {
    flight->answer = Verdict::unavailable("asking failed");
  }
  flights_.erase(about);
  flight->bell.cancel();
  co_return *flight->answer;
}

std::optional<Verdict> AnswerCache::find(const base::Sha256& about, WallTime now) const {
  const std::lock_guard lock(mutex_);
  const auto found = entries_.find(about);
  if (found == entries_.end() || found->second.until <= now) return std::nullopt;
  return found->second.answer;
}

void AnswerCache::insert(const base::Sha256& about, Verdict answer, WallTime until, WallTime now) {
  if (until <= now) return;
  const std::lock_guard lock(mutex_);
  if (entries_.size() >= kEntriesMax) {
    std::erase_if(entries_, [&](const auto& item) { return item.second.until <= now; });
    if (entries_.size() >= kEntriesMax) entries_.clear();
  }
  entries_.insert_or_assign(about, Entry{std::move(answer), until});
}

}  // namespace sallyport
