#include "core/jose/key.h"

#include <algorithm>
#include <utility>

#include "core/jose/key_data.h"

namespace sallyport::jose {

struct KeySet::Contents {
  std::vector<Key> keys;
  std::vector<std::string> notes;
};

std::string_view to_string(KeyError error) {
  switch (error) {
    case KeyError::kMalformed:
      return "malformed";
    case KeyError::kTooLarge:
      return "too large";
    case KeyError::kTooManyKeys:
      return "too many keys";
    case KeyError::kUnsupported:
      return "unsupported";
    case KeyError::kWrongUse:
      return "wrong use";
    case KeyError::kWrongKind:
      return "wrong kind";
    case KeyError::kWeak:
      return "weak";
    case KeyError::kInvalid:
      return "invalid";
    case KeyError::kNoUsableKey:
      return "no usable key";
    case KeyError::kDuplicateKeyId:
      return "duplicate key id";
    case KeyError::kMixedKinds:
      return "secrets and public keys mixed";
  }
  return "unknown";
}

const std::string& Key::kid() const noexcept {
  return data_->kid;
}
AlgorithmSet Key::algorithms() const noexcept {
  return data_->algorithms;
}
Family Key::family() const noexcept {
  return data_->family;
}
bool Key::can_sign() const noexcept {
  return data_->is_private;
}

std::span<const Key> KeySet::keys() const noexcept {
  return contents_ ? std::span<const Key>(contents_->keys) : std::span<const Key>();
}

std::span<const std::string> KeySet::notes() const noexcept {
  return contents_ ? std::span<const std::string>(contents_->notes)
                   : std::span<const std::string>();
}

std::expected<KeySet, KeyFailure> KeySet::from_keys(std::vector<Key> keys) {
  return assemble(std::move(keys), {});
}

std::expected<KeySet, KeyFailure> KeySet::assemble(std::vector<Key> keys,
                                                   std::vector<std::string> notes) {
  if (keys.size() > kKeysMax) return std::unexpected(KeyFailure{KeyError::kTooManyKeys, ""});
  if (keys.empty()) {
    std::string detail = "no key of the set can be used";
    for (const std::string& note : notes) detail += "; " + note;
    return std::unexpected(KeyFailure{KeyError::kNoUsableKey, std::move(detail)});
  }
  const auto is_secret = [](const Key& key) {
    return key.family() == Family::kHmac;
  };
  // RFC 8725 section 2.1: with both in one set, a public key is one mistake away from being a
  // secret.
  if (std::ranges::any_of(keys, is_secret) && !std::ranges::all_of(keys, is_secret)) {
    return std::unexpected(
        KeyFailure{KeyError::kMixedKinds, "HMAC secrets and public keys must not share a set"});
  }
  for (std::size_t i = 0; i < keys.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (keys[i].kid().empty() || keys[i].kid() != keys[j].kid()) continue;
      if (keys[i].family() != keys[j].family()) continue;
      return std::unexpected(KeyFailure{
          KeyError::kDuplicateKeyId, "two keys have the kid '" + printable(keys[i].kid()) + "'"});
    }
  }
  KeySet set;
  set.contents_ = std::make_shared<const Contents>(Contents{std::move(keys), std::move(notes)});
  return set;
}

}  // namespace sallyport::jose
