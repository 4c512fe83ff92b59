#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/digest.h"
#include "core/jose/key.h"
#include "io/http_client.h"

namespace sallyport {

/// Where an issuer's metadata is (OpenID Connect Discovery 1.0 section 4.1). The error is a sentence for whoever
/// has written the issuer.
[[nodiscard]] std::expected<io::HttpUrl, std::string> discovery_url(const std::string& issuer);

/// The key set's URL that such metadata names. Refused are metadata of another issuer (section 4.3), a URL that is
/// not https, and one on loopback that an issuer elsewhere names: it has no business with what runs here. The error
/// is a sentence for the log.
[[nodiscard]] std::expected<io::HttpUrl, std::string> read_discovery(std::string_view document,
                                                                     const std::string& issuer);

struct FetchedKeys {
  jose::KeySet keys;
  std::optional<std::chrono::milliseconds> max_age;  ///< what the issuer says about the set's life
  base::Sha256 digest;                               ///< of the answer: whether anything has changed
};

/// Why there is no key set: what happened, and what the operator can do. Neither quotes an answer.
struct KeyFault {
  std::string detail;
  std::string hint;
};

/// Fetches one issuer's key set. Belongs to the context's thread; must outlive a fetch.
class KeyFetch {
 public:
  /// The set at `url`, or with an issuer the set that its metadata at `url` names.
  KeyFetch(boost::asio::io_context& context, io::HttpUrl url, std::optional<std::string> issuer,
           std::chrono::milliseconds timeout);

  /// One at a time. Metadata is read again if `thorough`, and whenever the last fetch has failed.
  [[nodiscard]] boost::asio::awaitable<std::expected<FetchedKeys, KeyFault>> run(bool thorough);

 private:
  [[nodiscard]] boost::asio::awaitable<std::expected<io::HttpReply, KeyFault>> get(io::HttpUrl url);
  [[nodiscard]] boost::asio::awaitable<std::expected<FetchedKeys, KeyFault>> read_keys(io::HttpUrl url);

  io::HttpClient client_;
  const io::HttpUrl url_;
  const std::optional<std::string> issuer_;
  std::optional<io::HttpUrl> keys_url_;  // that the metadata named
};

}  // namespace sallyport
