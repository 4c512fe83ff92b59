#pragma once

#include <boost/asio/cancellation_signal.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "core/auth/credentials.h"
#include "core/base/digest.h"
#include "sallyport/verifier.h"
#include "server/verification_cache.h"

namespace sallyport::server {

class Connection;
class Worker;

/// A route's verifiers; keeps the site that they belong to.
using VerifierRef = std::shared_ptr<const Verifier>;

/// One credential on its way, once, through a route's verifiers. It may outlive its connection by a moment: its
/// coroutine then holds it.
class Verification : public std::enable_shared_from_this<Verification> {
 public:
  using CredentialRef = std::shared_ptr<const auth::Credential>;

  /// `via`: how it reached us, where that is not how it was presented (a ticket stands for another credential).
  Verification(VerifierRef verifier, CredentialRef credential,
               CredentialKind via = CredentialKind::kNone);

  /// Takes an answer that came later, with the generation under which it was asked for.
  using Report = void (Connection::*)(std::uint32_t generation, const Verdict& verdict);
  /// Asks the verifiers in order. An answer, or nothing if it comes later, through `report`.
  [[nodiscard]] std::optional<Verdict> run(Worker& worker, Connection& connection,
                                           std::uint32_t generation, Report report);
  /// The same for a coroutine of the worker's. Throws what a verifier throws.
  [[nodiscard]] awaitable<Verdict> ask(WallTime now) { return ask_from(0, now, false); }
  /// Nobody wants the answer any more. Once: a coroutine that takes note and has something left to do is let to.
  void cancel() {
    if (std::exchange(cancelled_, true)) return;
    cancel_.emit(boost::asio::cancellation_type::terminal);
  }

  /// When it was handed to the verifiers; nothing where a cache knew the answer.
  [[nodiscard]] const std::optional<std::chrono::steady_clock::time_point>& began() const noexcept { return began_; }

  [[nodiscard]] CredentialKind kind() const noexcept {
    return via_ != CredentialKind::kNone ? via_ : credential_->kind;
  }
  [[nodiscard]] const CredentialRef& credential() const noexcept { return credential_; }
  /// Under which an acceptance is kept.
  [[nodiscard]] const VerificationCache::Key& cache_key(std::uint32_t route) {
    if (!cache_key_) cache_key_ = {digest(), route, epoch()};
    return *cache_key_;
  }
  [[nodiscard]] bool cacheable() const noexcept { return cacheable_; }
  /// Which of the route's verifiers has said yes.
  [[nodiscard]] std::uint8_t accepted_by() const noexcept { return accepted_by_; }
  void set_accepted_by(std::uint8_t verifier) noexcept { accepted_by_ = verifier; }

 private:
  [[nodiscard]] Presented presented() const noexcept {
    return {.kind = credential_->kind,
            .token = credential_->token.reveal(),
            .certificate = credential_->certificate != nullptr ? std::string_view(*credential_->certificate)
                                                               : std::string_view(),
            .fields = fields_};
  }
  [[nodiscard]] base::Sha256 digest() const;
  [[nodiscard]] std::uint32_t epoch() const noexcept;
  [[nodiscard]] bool settle(Verdict verdict, std::size_t index);
  awaitable<Verdict> ask_from(std::size_t index, WallTime now, bool first_asked);

  VerifierRef verifier_;
  CredentialRef credential_;
  CredentialKind via_;
  std::vector<PresentedField> fields_;  // views into `credential_`
  boost::asio::cancellation_signal cancel_;
  std::optional<Verdict> answer_;       // so far
  std::optional<VerificationCache::Key> cache_key_;
  std::size_t asked_ = 0;               // the one that a coroutine waits for
  std::optional<std::chrono::steady_clock::time_point> began_;
  std::uint8_t accepted_by_ = 0;
  bool cacheable_ = false;
  bool cancelled_ = false;
};

/// The credential that a live connection is asked about again, and the question while it is under way.
struct Recheck {
  Verification::CredentialRef credential;
  std::shared_ptr<Verification> running = {};
};

}  // namespace sallyport::server
