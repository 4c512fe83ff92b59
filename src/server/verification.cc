#include "server/verification.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <exception>
#include <string>
#include <utility>

#include "server/events.h"
#include "server/worker.h"

namespace sallyport::server {
namespace {

// A backend may be anyone's code: what it throws refuses, and ends nobody else's connection.
Verdict threw(Worker& worker, const Connection& connection, const VerifierBackend& backend,
              const std::string& what) {
  Event(worker.shared().options.log, LogLevel::kError, "ws.handler_threw")
      .with("connection", text_of(connection.id()))
      .with("route", connection.route() != nullptr ? connection.route()->path : std::string())
      .with("verifier", backend.name())
      .with("what", what);
  return Verdict::refuse(Failure::kInternal, "the verifier threw");
}

}  // namespace

Verification::Verification(VerifierRef verifier, CredentialRef credential, CredentialKind via)
    : verifier_(std::move(verifier)), credential_(std::move(credential)), via_(via) {
  for (const auto& [name, value] : credential_->fields) fields_.push_back({name, value.reveal()});
}

// A token that is bound to a certificate was accepted together with it, and only with it.
base::Sha256 Verification::digest() const {
  if (credential_->certificate == nullptr) return base::sha256(credential_->token.reveal());
  const base::Sha256 token = base::sha256(credential_->token.reveal());
  const base::Sha256 certificate = base::sha256(*credential_->certificate);
  std::string both(reinterpret_cast<const char*>(token.data()), token.size());
  both.append(reinterpret_cast<const char*>(certificate.data()), certificate.size());
  return base::sha256(both);
}

// Takes what the verifier at `index` says. True if that settles it; otherwise the next one is asked. One that
// could not be asked may have been the one, so its "unavailable" stays the answer unless a later one accepts.
bool Verification::settle(Verdict verdict, std::size_t index) {
  const bool unavailable = !verdict.accepted() && verdict.failure() == Failure::kUnavailable;
  const bool settled = !unavailable && !verdict.is_not_mine();
  if (settled) {
    cacheable_ = verifier_->backends()[index]->cacheable();
    accepted_by_ = static_cast<std::uint8_t>(index);
  }
  if (settled || !answer_ || answer_->failure() != Failure::kUnavailable) answer_ = std::move(verdict);
  return settled;
}

// Each one's only grows, so that their sum is another whenever one of them is.
std::uint32_t Verification::epoch() const noexcept {
  std::uint32_t sum = 0;
  for (const auto& backend : verifier_->backends()) sum += backend->epoch();
  return sum;
}

std::optional<Verdict> Verification::run(Worker& worker, Connection& connection,
                                         std::uint32_t generation, Report report) {
  began_ = std::chrono::steady_clock::now();
  const WallTime now = worker.now().wall;
  const auto& backends = verifier_->backends();
  for (std::size_t i = 0; i < backends.size(); ++i) {
    std::optional<Verdict> verdict;
    try {
      verdict = backends[i]->verify_now(presented(), now);
    } catch (...) {
      verdict = threw(worker, connection, *backends[i], what_of(std::current_exception()));
    }
    if (verdict) {
      if (settle(std::move(*verdict), i)) return answer_;
      continue;
    }
    auto result = std::make_shared<std::optional<Verdict>>();
    boost::asio::co_spawn(
        worker.loop().context(),
        [](std::shared_ptr<Verification> self, std::size_t index, WallTime started,
           std::shared_ptr<std::optional<Verdict>> out) -> awaitable<void> {
          *out = co_await self->ask_from(index, started, true);
        }(shared_from_this(), i, now, result),
        boost::asio::bind_cancellation_slot(
            cancel_.slot(),
            [self = shared_from_this(), &worker, slot = connection.slot(),
             place = connection.slot_generation(), generation, report, result,
             running = worker.running()](const std::exception_ptr& error) {
              worker.loop().turn([&] {
                Connection* const target = worker.find(slot, place);
                if (target == nullptr) return;
                if (error || !*result) {
                  // One that was cancelled has thrown because of that, and comes too late with whatever it says.
                  *result = self->cancelled_
                                ? Verdict::unavailable("cancelled")
                                : threw(worker, *target, *self->verifier_->backends()[self->asked_],
                                        error ? what_of(error) : "there was no answer");
                }
                (target->*report)(generation, **result);
              });
            }));
    return std::nullopt;
  }
  return answer_;
}

// `first_asked`: the one at `index` has been asked already and answers later.
awaitable<Verdict> Verification::ask_from(std::size_t index, WallTime now, bool first_asked) {
  const auto& backends = verifier_->backends();
  for (std::size_t i = index; i < backends.size(); ++i) {
    std::optional<Verdict> verdict;
    asked_ = i;
    if (i != index || !first_asked) verdict = backends[i]->verify_now(presented(), now);
    if (!verdict) verdict = co_await backends[i]->verify_later(presented());
    if (settle(std::move(*verdict), i)) break;
  }
  co_return *answer_;
}

}  // namespace sallyport::server
