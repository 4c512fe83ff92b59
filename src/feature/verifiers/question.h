#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "core/base/clock.h"
#include "core/base/digest.h"
#include "sallyport/verifier.h"

namespace sallyport {

struct DigestHash {
  [[nodiscard]] std::size_t operator()(const base::Sha256& digest) const noexcept;
};

/// Asks one question at a time about one thing, however many want to know: those who come while it is under way
/// wait for its answer. Belongs to the control thread.
class Questions {
 public:
  static constexpr std::size_t kWaitingMax = 16'384;  ///< then "unavailable"

  explicit Questions(boost::asio::io_context& control) : control_(control) {}
  /// `ask` must end by a deadline of its own; what it throws counts as "unavailable".
  [[nodiscard]] awaitable<Verdict> ask(base::Sha256 about, std::function<awaitable<Verdict>()> ask);

 private:
  struct Flight {
    explicit Flight(boost::asio::io_context& control) : bell(control, boost::asio::steady_timer::time_point::max()) {}
    boost::asio::steady_timer bell;
    std::optional<Verdict> answer;
  };
  boost::asio::io_context& control_;
  std::unordered_map<base::Sha256, std::shared_ptr<Flight>, DigestHash> flights_;
  std::size_t waiting_ = 0;
};

/// Answers that hold for a while, under the digest of what they are about. Thread-safe.
class AnswerCache {
 public:
  static constexpr std::size_t kEntriesMax = 16'384;  ///< then it starts anew: answers are short-lived

  [[nodiscard]] std::optional<Verdict> find(const base::Sha256& about, WallTime now) const;
  void insert(const base::Sha256& about, Verdict answer, WallTime until, WallTime now);

 private:
  struct Entry {
    Verdict answer;
    WallTime until;
  };
  mutable std::mutex mutex_;
  std::unordered_map<base::Sha256, Entry, DigestHash> entries_;
};

}  // namespace sallyport
