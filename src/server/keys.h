#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/jose/key.h"
#include "sallyport/verifier.h"

namespace sallyport {

/// Keys that come from elsewhere and change. Belongs to one verifier, whose issuer it is told.
class KeySource {
 public:
  enum class Search : std::uint8_t {
    kRefreshed,    ///< `current` has been fetched since the question: look again
    kUnknown,      ///< the issuer was asked a moment ago and does not publish that key
    kUnavailable,  ///< the issuer could not be asked, or may not be asked again yet
  };
  virtual ~KeySource() = default;
  /// Begins to fetch. On the app's thread; a second call with the same host changes nothing.
  virtual void start(const VerifierHost& host, const std::string& issuer, const std::string& verifier) = 0;
  virtual void stop() noexcept = 0;
  /// The newest good set; empty before the first one. Thread-safe and cheap: asked for every token.
  [[nodiscard]] virtual jose::KeySet current() const = 0;
  /// Whether a set has been fetched. Thread-safe.
  [[nodiscard]] virtual bool ready() const noexcept = 0;
  /// What is known about a key that is not in `current`, without asking anybody; nothing: ask `find`.
  /// Thread-safe.
  [[nodiscard]] virtual std::optional<Search> recall(std::string_view kid) const = 0;
  /// Asks, at most once per cooldown and together with all others who wait; answers within a bounded time. For
  /// a worker's coroutine.
  [[nodiscard]] virtual awaitable<Search> find(std::string kid) = 0;
};

struct Keys::Loaded {
  jose::KeySet keys;                   ///< at hand; empty if there is a source
  /// Makes the source, one for each verifier that is made with these keys; nothing: the keys are at hand.
  std::function<std::shared_ptr<KeySource>()> make_source = {};
};

/// Why none of the keys can be used with any of the algorithms; empty if at least one can.
[[nodiscard]] std::string misfit_of(const jose::KeySet& keys,
                                    std::span<const jose::Algorithm> algorithms);

/// Reads a whole file of at most `bytes_max` bytes. Throws std::runtime_error that names the file.
[[nodiscard]] std::string read_file(const std::string& path, std::size_t bytes_max);

}  // namespace sallyport
