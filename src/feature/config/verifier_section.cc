#include "feature/config/verifier_section.h"

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "feature/config/spelling.h"
#include "feature/config/verifier_jwt.h"
#include "feature/config/verifier_others.h"

namespace sallyport::config {
namespace {

struct Type {
  VerifierType type;
  std::string_view word;
  std::array<std::string_view, 12> keys;  // beside `type`; empty ones are none
};
constexpr std::array<Type, 7> kTypes{{
    {VerifierType::kJwt,
     "jwt",
     {"issuer", "audience", "algorithms", "jwks_file", "jwks_url", "discovery", "secret_file",
      "public_key_file", "leeway", "token_types", "logout_token_types", "logout_audience"}},
    {VerifierType::kIntrospection,
     "introspection",
     {"endpoint", "client_id", "client_secret_file", "issuer", "cache", "recheck", "timeout"}},
    {VerifierType::kSession,
     "session",
     {"cookie", "secret_files", "store", "prefix", "subject", "scopes", "recheck"}},
    {VerifierType::kKeys, "keys", {"file"}},
    {VerifierType::kCertificate, "certificate", {"subject"}},
    {VerifierType::kHttp, "http", {"url", "forward", "timeout", "recheck", "issuer"}},
    {VerifierType::kAnonymous, "anonymous", {}},
}};

bool owns(const Type& type, std::string_view key) {
  return std::find(type.keys.begin(), type.keys.end(), key) != type.keys.end();
}

// Null if the type is missing or unknown; then the other keys mean nothing yet.
const Type* read_type(Section& section) {
  std::string word;
  if (!section.read_string("type", word)) {
    if (!section.has("type"))
      section.error(section.line(), "type is missing; write for example type = \"jwt\"");
    return nullptr;
  }
  const auto found = std::find_if(kTypes.begin(), kTypes.end(),
                                  [&](const Type& type) { return type.word == word; });
  if (found != kTypes.end()) return &*found;
  std::vector<std::string> words;
  for (const Type& type : kTypes) words.emplace_back(type.word);
  section.error(section.line_of("type"), "type must be " + alternatives(words) + ", not " +
                                             in_quotes(word) + did_you_mean(word, words));
  return nullptr;
}

// A key of another type is no misspelling: whoever wrote it has mixed up the two.
void refuse_keys_of_others(Section& section, const Type& type) {
  std::set<std::string_view> done;
  for (const Type& other : kTypes) {
    for (const std::string_view key : other.keys) {
      if (key.empty() || owns(type, key) || !done.insert(key).second) continue;
      std::vector<std::string> owners;
      for (const Type& candidate : kTypes) {
        if (owns(candidate, key)) owners.emplace_back(candidate.word);
      }
      section.refuse(key, std::string(key) + " belongs to a verifier of type " +
                              alternatives(owners) + "; this one is of type \"" +
                              std::string(type.word) + "\"");
    }
  }
}

bool available(VerifierType type, const Factories& factories) {
  switch (type) {
    case VerifierType::kIntrospection:
      return factories.introspection != nullptr;
    case VerifierType::kSession:
      return factories.express_session != nullptr;
    case VerifierType::kKeys:
      return factories.api_keys != nullptr;
    case VerifierType::kCertificate:
      return factories.client_certificate != nullptr;
    case VerifierType::kHttp:
      return factories.http_verifier != nullptr;
    case VerifierType::kJwt:
    case VerifierType::kAnonymous:
      break;
  }
  return true;
}

std::optional<VerifierEntry> read_one(const Type& type, Section& section, Reading& reading,
                                      const std::string& name) {
  switch (type.type) {
    case VerifierType::kJwt:
      return read_jwt(section, reading, name);
    case VerifierType::kIntrospection:
      return read_introspection(section, reading, name);
    case VerifierType::kSession:
      return read_session(section, reading, name);
    case VerifierType::kKeys:
      return read_api_keys(section, reading, name);
    case VerifierType::kCertificate:
      return read_certificate(section, reading, name);
    case VerifierType::kHttp:
      return read_http(section, reading, name);
    case VerifierType::kAnonymous:
      break;
  }
  return VerifierEntry{.name = name,
                       .line = section.line(),
                       .type = VerifierType::kAnonymous,
                       .verifier = insecure_anonymous()};
}

// Whether it is written [verifier] or [[verifier]], with the keys of one.
bool is_unnamed(const Node& node) {
  if (const auto* const list = std::get_if<List>(&node.value)) {
    return !list->items.empty() && std::holds_alternative<Table>(list->items.front().value);
  }
  const auto* const table = std::get_if<Table>(&node.value);
  if (table == nullptr) return false;
  for (const char* const key : {"type", "issuer", "algorithms"}) {
    const Entry* const entry = table->find(key);
    if (entry != nullptr && !std::holds_alternative<Table>(entry->node.value)) return true;
  }
  return false;
}

}  // namespace

std::string_view name(VerifierType type) noexcept {
  for (const Type& candidate : kTypes) {
    if (candidate.type == type) return candidate.word;
  }
  return "unknown";
}

std::vector<std::string> read_verifiers(Section& root, Reading& reading, Config& config) {
  std::vector<std::string> names;
  const Node* const node = root.read_any("verifier");
  if (node != nullptr && is_unnamed(*node)) {
    reading.unnamed_verifier = true;
    root.error(root.line_of("verifier"),
               "a verifier needs a name, by which routes call it; write [verifier.main]");
    if (std::holds_alternative<List>(node->value)) return names;
  }
  const Entry* const all = root.read_table("verifier");
  if (all == nullptr) return names;
  for (const Entry& entry : std::get<Table>(all->node.value).entries) {
    const auto* const table = std::get_if<Table>(&entry.node.value);
    if (table == nullptr) {
      if (reading.unnamed_verifier) continue;
      root.error(entry.line, "verifier." + entry.key + " must be a table, written [verifier." +
                                 entry.key + "], not " + std::string(kind_of(entry.node)));
      continue;
    }
    names.push_back(entry.key);
    Section section(*table, entry.node.line, "verifier " + entry.key, reading.findings);
    const Type* const type = read_type(section);
    if (type == nullptr) continue;
    if (!available(type->type, reading.factories)) {
      section.error(section.line_of("type"), not_available("type = " + in_quotes(type->word)));
      continue;
    }
    const std::size_t errors = reading.findings.error_count();
    refuse_keys_of_others(section, *type);
    auto verifier = read_one(*type, section, reading, entry.key);
    section.finish();
    if (verifier && reading.findings.error_count() == errors) {
      config.verifiers.push_back(std::move(*verifier));
    }
  }
  return names;
}

}  // namespace sallyport::config
