#include "core/jose/jws.h"

#include <algorithm>
#include <array>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <utility>

#include "core/base/base64url.h"
#include "core/base/json.h"
#include "core/jose/signature.h"

namespace sallyport::jose {
namespace {

namespace json = boost::json;

bool is_sound_text(std::string_view text) {
  return !text.empty() && text.size() <= kKeyIdBytesMax && std::ranges::none_of(text, [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
  });
}

// An optional member that must be a short string without control characters if it is there.
bool read_text(const json::object& header, std::string_view name,
               std::optional<std::string>& output) {
  const json::value* const value = header.if_contains(name);
  if (value == nullptr) return true;
  if (!value->is_string() || !is_sound_text(value->get_string())) return false;
  output.emplace(value->get_string());
  return true;
}

std::expected<JwsHeader, JwsError> parse_header(std::string_view encoded) {
  if (encoded.size() > (kHeaderBytesMax * 4 + 2) / 3) return std::unexpected(JwsError::kTooLarge);
  auto text = base::base64url_decode(encoded);
  if (!text) return std::unexpected(JwsError::kMalformed);
  base::JsonScratch scratch;
  const auto value = base::parse_json(*text, {.bytes = kHeaderBytesMax}, scratch.storage());
  if (!value || !value->is_object()) return std::unexpected(JwsError::kMalformed);
  const json::object& object = value->get_object();
  // RFC 7515 section 4.1.11 and RFC 7797: extensions that change the meaning of the rest.
  if (object.contains("crit") || object.contains("b64")) {
    return std::unexpected(JwsError::kUnsupportedHeader);
  }
  JwsHeader header;
  std::optional<std::string> algorithm;
  if (!read_text(object, "alg", algorithm) || !algorithm ||
      !read_text(object, "kid", header.key_id) || !read_text(object, "typ", header.type)) {
    return std::unexpected(JwsError::kMalformed);
  }
  header.algorithm = algorithm_from_name(*algorithm);
  header.algorithm_name = std::move(*algorithm);
  header.ignored_header_keys = object.contains("jku") || object.contains("x5u") ||
                               object.contains("jwk") || object.contains("x5c");
  header.json = std::move(*text);
  return header;
}

struct Candidates {
  std::array<const Key*, kCandidateKeysMax> keys{};
  std::size_t count = 0;
  void add(const Key& key) {
    if (count < keys.size()) keys[count++] = &key;
  }
};

}  // namespace

std::string_view to_string(JwsError error) {
  switch (error) {
    case JwsError::kTooLarge:
      return "too large";
    case JwsError::kMalformed:
      return "malformed";
    case JwsError::kUnsupportedHeader:
      return "unsupported header";
    case JwsError::kUnsupportedAlgorithm:
      return "unsupported algorithm";
    case JwsError::kUnknownKey:
      return "unknown key";
    case JwsError::kBadSignature:
      return "bad signature";
  }
  return "unknown";
}

std::expected<CompactJws, JwsError> parse_compact(std::string_view token) {
  if (token.size() > kTokenBytesMax) return std::unexpected(JwsError::kTooLarge);
  const std::size_t first = token.find('.');
  if (first == std::string_view::npos) return std::unexpected(JwsError::kMalformed);
  const std::size_t second = token.find('.', first + 1);
  if (second == std::string_view::npos) return std::unexpected(JwsError::kMalformed);
  // A third dot is not in base64url's alphabet, so that a JWE (five parts) fails below.
  auto header = parse_header(token.substr(0, first));
  if (!header) return std::unexpected(header.error());
  auto payload = base::base64url_decode(token.substr(first + 1, second - first - 1));
  auto signature = base::base64url_decode(token.substr(second + 1));
  if (!payload || !signature) return std::unexpected(JwsError::kMalformed);
  return CompactJws{.header = std::move(*header),
                    .payload = std::move(*payload),
                    .signature = std::move(*signature),
                    .signing_input = token.substr(0, second)};
}

std::expected<const Key*, JwsError> find_verifying_key(const CompactJws& jws, const KeySet& keys,
                                                       std::span<const Algorithm> allowed) {
  const JwsHeader& header = jws.header;
  if (!header.algorithm || std::ranges::find(allowed, *header.algorithm) == allowed.end()) {
    return std::unexpected(JwsError::kUnsupportedAlgorithm);
  }
  if (jws.signature.empty()) return std::unexpected(JwsError::kBadSignature);
  Candidates named;
  Candidates unnamed;
  Candidates all;
  bool kid_is_known = false;
  bool any_kid = false;
  for (const Key& key : keys.keys()) {
    const bool matches = header.key_id && key.kid() == *header.key_id;
    kid_is_known = kid_is_known || matches;
    any_kid = any_kid || !key.kid().empty();
    if (!key.allows(*header.algorithm)) continue;
    all.add(key);
    if (matches) named.add(key);
    if (key.kid().empty()) unnamed.add(key);
  }
  if (kid_is_known && named.count == 0) return std::unexpected(JwsError::kUnsupportedAlgorithm);
  const Candidates& candidates = kid_is_known ? named : header.key_id ? unnamed : all;
  if (candidates.count == 0) return std::unexpected(JwsError::kUnknownKey);
  for (std::size_t i = 0; i < candidates.count; ++i) {
    if (verify_signature(jws.signing_input, jws.signature, *candidates.keys[i],
                         *header.algorithm)) {
      return candidates.keys[i];
    }
  }
  // The source names its keys and this name is none of them: the keys may be out of date.
  if (header.key_id && !kid_is_known && any_kid) return std::unexpected(JwsError::kUnknownKey);
  return std::unexpected(JwsError::kBadSignature);
}

std::expected<VerifiedJws, JwsError> verify_compact(std::string_view token, const KeySet& keys,
                                                    std::span<const Algorithm> allowed) {
  auto jws = parse_compact(token);
  if (!jws) return std::unexpected(jws.error());
  const auto key = find_verifying_key(*jws, keys, allowed);
  if (!key) return std::unexpected(key.error());
  return VerifiedJws{
      .header = std::move(jws->header), .payload = std::move(jws->payload), .key = *key};
}

std::expected<std::string, JwsError> sign_compact(std::string_view payload, const Key& key,
                                                  Algorithm algorithm, std::string_view type) {
  json::object header;
  header["alg"] = to_string(algorithm);
  if (!type.empty()) header["typ"] = type;
  if (!key.kid().empty()) header["kid"] = key.kid();
  return sign_compact_with_header(json::serialize(header), payload, key, algorithm);
}

std::expected<std::string, JwsError> sign_compact_with_header(std::string_view header_json,
                                                              std::string_view payload,
                                                              const Key& key, Algorithm algorithm) {
  std::string token = base::base64url_encode(header_json) + '.' + base::base64url_encode(payload);
  const auto signature = make_signature(token, key, algorithm);
  if (!signature) return std::unexpected(JwsError::kUnsupportedAlgorithm);
  token += '.';
  token += base::base64url_encode(*signature);
  return token;
}

}  // namespace sallyport::jose
