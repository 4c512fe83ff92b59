#include "server/verification.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/co_spawn.hpp>
#include <exception>
#include <utility>

#include "server/worker.h"

namespace sallyport::server {
namespace {

constexpr const char* kThrew = "the verifier threw";

// A backend may be anyone's code: what it throws refuses, and ends nobody else's connection.
std::optional<Verdict> ask_now(const VerifierBackend& backend, const Presented& presented, WallTime now) {
  try {
    return backend.verify_now(presented, now);
  } catch (...) {
    return Verdict::refuse(Failure::kInternal, kThrew);
  }
}

}  // namespace

Verification::Verification(const Verifier& verifier, auth::Credential credential)
    : verifier_(verifier), credential_(std::move(credential)) {
  for (const auto& [name, value] : credential_.fields) fields_.push_back({name, value.reveal()});
}

// A token that is bound to a certificate was accepted together with it, and only with it.
base::Sha256 Verification::digest() const {
  if (credential_.certificate == nullptr) return base::sha256(credential_.token.reveal());
  const base::Sha256 token = base::sha256(credential_.token.reveal());
  const base::Sha256 certificate = base::sha256(*credential_.certificate);
  std::string both(reinterpret_cast<const char*>(token.data()), token.size());
  both.append(reinterpret_cast<const char*>(certificate.data()), certificate.size());
  return base::sha256(both);
}

std::optional<Verdict> Verification::run(Worker& worker, Connection& connection,
                                         std::uint32_t generation) {
  const WallTime now = worker.now().wall;
  std::optional<Verdict> last;
  const auto& backends = verifier_.backends();
  for (std::size_t i = 0; i < backends.size(); ++i) {
    std::optional<Verdict> verdict = ask_now(*backends[i], presented(), now);
    if (verdict) {
      cacheable_ = backends[i]->cacheable();
      if (!verdict->is_not_mine()) return verdict;
      last = std::move(verdict);
      continue;
    }
    auto result = std::make_shared<std::optional<Verdict>>();
    boost::asio::co_spawn(
        worker.loop().context(),
        [](std::shared_ptr<Verification> self, std::size_t index, WallTime started,
           std::shared_ptr<std::optional<Verdict>> out) -> awaitable<void> {
          *out = co_await self->ask_from(index, started);
        }(shared_from_this(), i, now, result),
        boost::asio::bind_cancellation_slot(
            cancel_.slot(),
            [self = shared_from_this(), &worker, slot = connection.slot(),
             place = connection.slot_generation(), generation,
             result](const std::exception_ptr& error) {
              worker.loop().turn([&] {
                Connection* const target = worker.find(slot, place);
                if (target == nullptr) return;
                if (error || !*result) {
                  *result = Verdict::refuse(Failure::kInternal, kThrew);
                }
                target->verified(generation, **result);
              });
            }));
    return std::nullopt;
  }
  return last;
}

awaitable<Verdict> Verification::ask_from(std::size_t index, WallTime now) {
  const auto& backends = verifier_.backends();
  Verdict last = Verdict::not_mine();
  for (std::size_t i = index; i < backends.size(); ++i) {
    std::optional<Verdict> verdict;
    if (i != index) verdict = backends[i]->verify_now(presented(), now);
    if (!verdict) verdict = co_await backends[i]->verify_later(presented());
    cacheable_ = backends[i]->cacheable();
    if (!verdict->is_not_mine()) co_return std::move(*verdict);
    last = std::move(*verdict);
  }
  co_return last;
}

}  // namespace sallyport::server
