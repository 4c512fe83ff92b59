#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/jose/algorithm.h"
#include "core/jose/key.h"
#include "io/file_watch.h"
#include "sallyport/verifier.h"

namespace sallyport {

/// For whom keys are fetched.
struct KeyUser {
  std::string issuer;                      ///< the verifier's, exactly
  std::string verifier;                    ///< its name, for the log
  std::vector<jose::Algorithm> algorithms; ///< that it allows
};

/// Keys that come from elsewhere and change. Belongs to one verifier.
class KeySource {
 public:
  enum class Search : std::uint8_t {
    kRefreshed,    ///< `current` has been fetched since the question: look again
    kUnknown,      ///< the issuer was asked a moment ago and does not publish that key
    kUnavailable,  ///< the issuer could not be asked, or may not be asked again yet
  };
  virtual ~KeySource() = default;
  /// Begins to fetch. On the app's thread; a second call with the same host changes nothing.
  virtual void start(const VerifierHost& host) = 0;
  virtual void stop() noexcept = 0;
  /// The newest good set; empty before the first one and when it has become too old. Thread-safe and cheap: asked
  /// for every token.
  [[nodiscard]] virtual jose::KeySet current() const = 0;
  /// Whether there is a set to use. Thread-safe.
  [[nodiscard]] virtual bool ready() const noexcept = 0;
  /// What is known about a key that is not in `current`, without asking anybody; nothing: ask `find`. An empty kid
  /// stands for the key of a token that names none. Thread-safe.
  [[nodiscard]] virtual std::optional<Search> recall(std::string_view kid) const = 0;
  /// Asks, at most once per cooldown and together with all others who wait; answers within `patience`. For a
  /// worker's coroutine. A set may also come between a look at `current` and this question: whatever the answer is,
  /// look again.
  [[nodiscard]] virtual awaitable<Search> find(std::string kid) = 0;
  /// Grows with every `current` that differs from the one before. Thread-safe.
  [[nodiscard]] virtual std::uint32_t epoch() const noexcept = 0;
  /// The longest that `find` may take.
  [[nodiscard]] virtual std::chrono::milliseconds patience() const noexcept = 0;
};

struct Keys::Loaded {
  jose::KeySet keys;                   ///< at hand; empty if there is a source
  /// Makes the source, one for each verifier that is made with these keys; nothing: the keys are at hand. Throws
  /// `std::invalid_argument` if it cannot serve this user.
  std::function<std::shared_ptr<KeySource>(KeyUser)> make_source = {};
  /// Reads the keys at hand again, and throws as the first time; nothing: they are in no file.
  std::function<jose::KeySet()> reload = {};
  io::FileWatch::File file = {};       ///< if they are in one: as it was before they were read
};

/// Why none of the keys can be used with any of the algorithms; empty if at least one can.
[[nodiscard]] std::string misfit_of(const jose::KeySet& keys,
                                    std::span<const jose::Algorithm> algorithms);

/// The keys as they are now: those at hand, or fetched once, on this thread and within their source's patience; for
/// commands. The error is a sentence that says why there are none.
[[nodiscard]] std::expected<jose::KeySet, std::string> fetch_keys(const Keys& keys, KeyUser user);

/// Reads a whole file of at most `bytes_max` bytes. Throws std::runtime_error that names the file.
[[nodiscard]] std::string read_file(const std::string& path, std::size_t bytes_max);

}  // namespace sallyport
