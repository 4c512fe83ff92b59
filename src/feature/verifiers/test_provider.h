#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/jose/key.h"
#include "io/test_http_server.h"

namespace sallyport::test {

/// An identity provider on 127.0.0.1 with a key set at /jwks and metadata that names it.
class Provider {
 public:
  explicit Provider(std::vector<std::string> kids = {"k1"}, std::uint16_t port = 0);

  /// Publishes keys of these names (ES256, made once per name in this process).
  void publish(std::vector<std::string> kids);
  /// Answers at /jwks what is returned instead; nothing: the key set.
  void misbehave(std::function<io::test::HttpAnswer()> answer);
  void behave() { misbehave({}); }
  /// The last set that was published. Also for a misbehaviour.
  [[nodiscard]] const std::string& key_set() const noexcept { return jwks_; }
  /// Field lines that come with the key set.
  void add_fields(std::string lines);
  /// Answers instead of the metadata.
  void misguide(std::string metadata);

  [[nodiscard]] std::string issuer() const { return server_->url(); }
  [[nodiscard]] std::string jwks_url() const { return server_->url("/jwks"); }
  [[nodiscard]] std::size_t fetches() const;       ///< of the key set
  [[nodiscard]] std::size_t discoveries() const;   ///< of the metadata
  [[nodiscard]] std::size_t open() const { return server_->open(); }

 private:
  [[nodiscard]] io::test::HttpAnswer answer(const io::test::HttpQuestion& question);

  mutable std::mutex mutex_;
  std::string jwks_;
  std::string fields_;
  std::string metadata_;
  std::function<io::test::HttpAnswer()> misbehaviour_;
  std::size_t fetches_ = 0;
  std::size_t discoveries_ = 0;
  std::unique_ptr<io::test::HttpServer> server_;
};

/// The ES256 key of that name, the same for all of this process.
[[nodiscard]] const jose::Key& provider_key(const std::string& kid);

}  // namespace sallyport::test
