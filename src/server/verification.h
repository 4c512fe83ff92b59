#pragma once

#include <boost/asio/cancellation_signal.hpp>
#include <memory>
#include <optional>
#include <vector>

#include "core/auth/credentials.h"
#include "core/base/digest.h"
#include "sallyport/verifier.h"
#include "server/verification_cache.h"

namespace sallyport::server {

class Connection;
class Worker;

/// One credential on its way through a route's verifiers. It may outlive its connection by a moment: its
/// coroutine then holds it.
class Verification : public std::enable_shared_from_this<Verification> {
 public:
  Verification(const Verifier& verifier, auth::Credential credential);

  /// Asks the verifiers in order. An answer, or nothing if it comes later, through `Connection::verified`.
  [[nodiscard]] std::optional<Verdict> run(Worker& worker, Connection& connection,
                                           std::uint32_t generation);
  void cancel() { cancel_.emit(boost::asio::cancellation_type::terminal); }

  [[nodiscard]] CredentialKind kind() const noexcept { return credential_.kind; }
  /// Under which an acceptance is kept.
  [[nodiscard]] const VerificationCache::Key& cache_key(std::uint32_t route) {
    if (!cache_key_) cache_key_ = {digest(), route};
    return *cache_key_;
  }
  [[nodiscard]] bool cacheable() const noexcept { return cacheable_; }

 private:
  [[nodiscard]] Presented presented() const noexcept {
    return {.kind = credential_.kind,
            .token = credential_.token.reveal(),
            .certificate = credential_.certificate != nullptr ? std::string_view(*credential_.certificate)
                                                              : std::string_view(),
            .fields = fields_};
  }
  [[nodiscard]] base::Sha256 digest() const;
  awaitable<Verdict> ask_from(std::size_t index, WallTime now);

  const Verifier& verifier_;
  auth::Credential credential_;
  std::vector<PresentedField> fields_;  // views into `credential_`
  boost::asio::cancellation_signal cancel_;
  std::optional<VerificationCache::Key> cache_key_;
  bool cacheable_ = false;
};

}  // namespace sallyport::server
