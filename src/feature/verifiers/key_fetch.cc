#include "feature/verifiers/key_fetch.h"

#include <algorithm>
#include <boost/json/value.hpp>
#include <span>
#include <utility>
#include <vector>

#include "core/base/json.h"
#include "core/http/cache_control.h"

namespace sallyport {
namespace {

namespace asio = boost::asio;

constexpr std::size_t kDiscoveryBytesMax = 64 * 1024;
constexpr std::string_view kDiscoveryPath = "/.well-known/openid-configuration";

std::string_view hint_of(io::HttpError error) {
  switch (error) {
    case io::HttpError::kResolve: return "check the host's name and this machine's resolver";
    case io::HttpError::kConnect: return "check that the issuer runs and that this machine may reach it";
    case io::HttpError::kTls: return "check the URL's host, or add the issuer's certificate authority to the system's store";
    case io::HttpError::kTimeout: return "check that the issuer answers, or allow it more time";
    case io::HttpError::kTooLarge: return "check the URL: key sets are small";
    case io::HttpError::kBadReply: return "check the URL and what stands in front of the issuer";
    case io::HttpError::kBusy:
    case io::HttpError::kBadRequest: break;
  }
  return "this should not happen; report it";
}

std::string_view hint_of(jose::KeyError error) {
  switch (error) {
    case jose::KeyError::kMalformed: return "check that the URL is that of a JSON Web Key Set";
    case jose::KeyError::kTooLarge:
    case jose::KeyError::kTooManyKeys: return "the issuer has to publish fewer keys";
    default: return "the issuer has to publish keys that can be used here";
  }
}

// RFC 9111 knows more ways to say it; key sets use this one.
std::optional<std::chrono::milliseconds> life_of(const io::HttpReply& reply) {
  std::vector<std::string_view> cache_control;
  for (const auto& [name, value] : reply.fields) {
    if (name == "cache-control") cache_control.push_back(value);
  }
  return http::freshness(cache_control, reply.field("age"));
}

std::string place_of(const io::HttpUrl& url) {
  // A query may hold what is nobody's business.
  return url.origin() + url.target.substr(0, url.target.find('?'));
}

bool has_secrets(const jose::KeySet& keys) {
  return std::ranges::any_of(keys.keys(), [](const jose::Key& key) { return key.family() == jose::Family::kHmac; });
}

}  // namespace

std::expected<io::HttpUrl, std::string> discovery_url(const std::string& issuer) {
  if (issuer.find_first_of("?#") != std::string::npos) {
    return std::unexpected("an issuer with discovery has no query and no fragment");
  }
  std::string_view base = issuer;
  if (base.ends_with('/')) base.remove_suffix(1);
  auto url = io::HttpUrl::parse(std::string(base) + std::string(kDiscoveryPath));
  if (!url) return std::unexpected("discovery needs an issuer that is a URL: " + url.error());
  return url;
}

std::expected<io::HttpUrl, std::string> read_discovery(std::string_view document, const std::string& issuer) {
  const auto value = base::parse_json(document, {.bytes = kDiscoveryBytesMax, .depth = 16});
  if (!value || !value->is_object()) return std::unexpected("is not a JSON object of at most 64 KiB");
  const auto* const named = value->get_object().if_contains("issuer");
  if (named == nullptr || !named->is_string() || std::string_view(named->get_string()) != issuer) {
    return std::unexpected("is not that of the issuer, which must be written exactly as there");
  }
  const auto* const keys = value->get_object().if_contains("jwks_uri");
  if (keys == nullptr || !keys->is_string()) return std::unexpected("has no jwks_uri");
  auto url = io::HttpUrl::parse(std::string_view(keys->get_string()));
  if (!url) return std::unexpected("has a jwks_uri that is not used: " + url.error());
  const auto own = discovery_url(issuer);
  if (url->loopback() && !(own && own->loopback())) {
    return std::unexpected("has a jwks_uri on loopback, although the issuer is elsewhere");
  }
  return url;
}

KeyFetch::KeyFetch(asio::io_context& context, io::HttpUrl url, std::optional<std::string> issuer,
                   std::chrono::milliseconds timeout)
    // Minutes pass between two fetches: no server keeps a connection for so long.
    : client_(context, {.timeout = timeout,
                        .body_bytes = jose::kKeySetBytesMax,
                        .connections = 1,
                        .waiting = 1,
                        .idle = std::chrono::milliseconds(0)}),
      url_(std::move(url)),
      issuer_(std::move(issuer)) {}

asio::awaitable<std::expected<FetchedKeys, KeyFault>> KeyFetch::run(bool thorough) {
  if (!issuer_) co_return co_await read_keys(url_);
  if (thorough || !keys_url_) {
    keys_url_.reset();
    auto reply = co_await get(url_);
    if (!reply) co_return std::unexpected(std::move(reply.error()));
    auto found = read_discovery(reply->body, *issuer_);
    if (!found) {
      co_return std::unexpected(KeyFault{"the metadata at " + place_of(url_) + " " + found.error(),
                                         "check the verifier's issuer, or name the key set with jwks_url"});
    }
    keys_url_ = std::move(*found);
  }
  auto fetched = co_await read_keys(*keys_url_);
  if (!fetched) keys_url_.reset();
  co_return fetched;
}

asio::awaitable<std::expected<io::HttpReply, KeyFault>> KeyFetch::get(io::HttpUrl url) {
  io::HttpRequest request{.url = url};
  request.fields.emplace_back("Accept", base::Secret("application/json"));
  auto reply = co_await client_.send(std::move(request));
  if (!reply) co_return std::unexpected(KeyFault{reply.error().detail, std::string(hint_of(reply.error().code))});
  if (reply->status == 200) co_return std::move(*reply);
  std::string detail = place_of(url) + " answers with status " + std::to_string(reply->status);
  if (reply->status / 100 == 3) {
    co_return std::unexpected(KeyFault{std::move(detail), "redirects are not followed; write the URL that it leads to"});
  }
  co_return std::unexpected(KeyFault{std::move(detail), "check the URL and the issuer"});
}

asio::awaitable<std::expected<FetchedKeys, KeyFault>> KeyFetch::read_keys(io::HttpUrl url) {
  auto reply = co_await get(url);
  if (!reply) co_return std::unexpected(std::move(reply.error()));
  auto keys = jose::KeySet::from_jwks(reply->body);
  const std::string what = "the key set at " + place_of(url);
  if (!keys) {
    co_return std::unexpected(
        KeyFault{what + " is not used: " + keys.error().detail, std::string(hint_of(keys.error().code))});
  }
  if (has_secrets(*keys)) {
    co_return std::unexpected(KeyFault{what + " has HMAC secrets, which are none if they can be fetched",
                                       "the issuer has to sign with a private key"});
  }
  co_return FetchedKeys{.keys = std::move(*keys), .max_age = life_of(*reply), .digest = base::sha256(reply->body)};
}

}  // namespace sallyport
