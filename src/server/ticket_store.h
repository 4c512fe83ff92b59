#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <expected>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/auth/state_machine.h"
#include "core/base/clock.h"
#include "core/base/digest.h"
#include "core/base/secret.h"
#include "server/verification.h"

namespace sallyport::server {

/// A ticket's worth: who presents it acts as `principal`, whose expiry and revocation it inherits. It is good for
/// one path, and for the Origin under which it was issued (empty: for requests without one).
struct Ticket {
  std::string path;
  std::string origin;
  auth::PrincipalRef principal;
  /// What the ticket was issued for, where its verifier must be asked again from time to time; otherwise null.
  Verification::CredentialRef credential;
  std::uint8_t verifier = 0;  ///< which of the route's has said yes
};

/// One-time tickets, by which a page that can send a header or a cookie to an HTTP endpoint opens a socket with
/// nothing but a URL. Kept under their SHA-256, in memory, for 30 s; taken at most once. Thread-safe.
class TicketStore {
 public:
  static constexpr base::Milliseconds kLife{30'000};
  static constexpr std::size_t kTicketsMax = 100'000;      ///< waiting; then none is issued
  static constexpr std::uint32_t kPerSubject = 30;         ///< issued to one subject within `kLife`
  static constexpr std::size_t kSubjectsMax = 100'000;

  enum class Denied : std::uint8_t { kSubjectRate, kFull };
  /// The ticket's text, 256 random bits.
  [[nodiscard]] std::expected<base::Secret, Denied> issue(Ticket ticket, base::MonoTime now);

  enum class Bad : std::uint8_t { kUnknown, kExpired, kWrongPath, kWrongOrigin };
  /// Takes it out: whatever the answer is, the ticket is gone. One call of many at the same time gets it.
  [[nodiscard]] std::expected<Ticket, Bad> take(std::string_view text, std::string_view path,
                                                std::string_view origin, base::MonoTime now);
  [[nodiscard]] std::size_t size() const;

 private:
  struct Hash {
    std::size_t operator()(const base::Sha256& digest) const noexcept;
  };
  struct Entry {
    Ticket ticket;
    base::MonoTime until;
  };
  struct Window {
    base::MonoTime begin;
    std::uint32_t issued = 0;
  };
  [[nodiscard]] bool within_rate(const Principal& who, base::MonoTime now);
  void forget(base::MonoTime now);

  mutable std::mutex mutex_;
  std::unordered_map<base::Sha256, Entry, Hash> tickets_;
  std::deque<std::pair<base::MonoTime, base::Sha256>> order_;  // in which they end; taken ones included
  std::unordered_map<std::string, Window> subjects_;
};

/// For the log.
[[nodiscard]] std::string_view describe(TicketStore::Bad bad) noexcept;

}  // namespace sallyport::server
