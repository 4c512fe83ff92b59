#include "feature/config/verifier_section.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <set>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "core/jose/algorithm.h"
#include "core/jose/key.h"
#include "feature/config/spelling.h"
#include "server/keys.h"

namespace sallyport::config {
namespace {

using std::chrono::milliseconds;

// The verifiers that the configuration's reference describes and this version does not have, each
// with the keys that are its own.
struct LaterType {
  std::string_view type;
  std::array<std::string_view, 8> keys;
};
constexpr std::array<LaterType, 6> kLaterTypes{{
    {"introspection",
     {"endpoint", "client_id", "client_secret_file", "cache", "recheck", "timeout"}},
    {"session", {"cookie", "secret_files", "store", "prefix", "subject", "scopes", "recheck"}},
    {"keys", {"file"}},
    {"certificate", {"subject"}},
    {"http", {"url", "forward", "timeout", "recheck"}},
    {"anonymous", {}},
}};

struct Source {
  std::string_view key;
  KeySource source;
};
constexpr std::array<Source, 3> kSources{{{"jwks_file", KeySource::kJwks},
                                          {"secret_file", KeySource::kSecret},
                                          {"public_key_file", KeySource::kPublicKey}}};

constexpr milliseconds kLeewayMax = std::chrono::hours(1);

std::string_view family_name(jose::Family family) {
  switch (family) {
    case jose::Family::kHmac:
      return "HMAC";
    case jose::Family::kRsa:
      return "RSA";
    case jose::Family::kEcdsa:
      return "ECDSA";
    case jose::Family::kEdDsa:
      return "EdDSA";
  }
  return "?";
}

std::vector<std::string> values(const std::vector<PlacedText>& texts) {
  std::vector<std::string> result;
  result.reserve(texts.size());
  for (const PlacedText& text : texts) result.push_back(text.value);
  return result;
}

// One verifier's table. Each step leaves its result in a member; nothing: it was missing or at
// fault.
class JwtReader {
 public:
  JwtReader(Section& section, Reading& reading, std::string name)
      : section_(section), reading_(reading), name_(std::move(name)) {}

  std::optional<VerifierEntry> read() {
    const std::size_t errors = reading_.findings.error_count();
    read_keys();
    if (!section_.read_string("issuer", issuer_) && !section_.has("issuer")) {
      section_.error(section_.line(), "issuer is missing; write the exact iss of the tokens");
    }
    read_audience();
    read_algorithms();
    read_leeway();
    read_types();
    refuse_others();
    section_.finish();
    if (reading_.findings.error_count() != errors || !keys_) return std::nullopt;
    return make(*std::move(keys_));
  }

 private:
  void read_keys() {
    const Source* chosen = nullptr;
    std::string path;
    bool several = false;
    for (const Source& source : kSources) {
      std::string text;
      const bool good = section_.read_string(source.key, text);
      if (!section_.has(source.key)) continue;
      several = several || chosen != nullptr;
      chosen = &source;
      if (good) path = reading_.path(text);
    }
    section_.unavailable("jwks_url");
    section_.unavailable("discovery");
    if (several) {
      section_.error(
          section_.line(),
          "has several key sources; keep one of jwks_file, secret_file and public_key_file");
    } else if (chosen == nullptr) {
      if (section_.has("jwks_url") || section_.has("discovery")) return;
      section_.error(section_.line(),
                     "has no keys; name them with jwks_file, secret_file or public_key_file");
    } else if (!path.empty()) {
      load(*chosen, path);
    }
  }

  void load(const Source& source, const std::string& path) {
    try {
      keys_ = reading_.files.load_keys(source.source, path);
    } catch (const std::runtime_error& error) {
      section_.error(section_.line_of(source.key), std::string(source.key) + ": " + error.what());
      return;
    }
    for (const std::string& note : keys_->loaded().keys.notes()) {
      section_.warning(section_.line_of(source.key), std::string(source.key) + ": " + note);
    }
  }

  void read_audience() {
    const auto texts = section_.read_texts("audience");
    if (texts) audience_ = values(*texts);
    if ((texts && texts->empty()) || !section_.has("audience")) {
      section_.warning(
          section_.line_of("audience"),
          "has no audience: a token that the issuer made for any other service is accepted here");
    }
  }

  void read_algorithms() {
    std::vector<std::string> all;
    all.reserve(jose::kAlgorithmCount);
    for (const jose::Algorithm algorithm : jose::kAllAlgorithms) {
      all.emplace_back(jose::to_string(algorithm));
    }
    const auto texts = section_.read_texts("algorithms");
    if ((texts && texts->empty()) || !section_.has("algorithms")) {
      section_.error(section_.line_of("algorithms"),
                     "algorithms is missing; list what the issuer signs with, such as [\"ES256\"]");
    }
    if (!texts) return;
    std::set<std::string_view> families;
    for (const PlacedText& text : *texts) {
      const auto algorithm = jose::algorithm_from_name(text.value);
      if (!algorithm) {
        section_.error(text.line, "algorithms: " + in_quotes(text.value) + " is not one of " +
                                      alternatives(all) + did_you_mean(text.value, all));
      } else {
        families.insert(family_name(jose::family_of(*algorithm)));
        algorithms_.push_back(text.value);
      }
    }
    if (families.size() < 2) return;
    std::string list;
    for (const std::string_view family : families) {
      list += (list.empty() ? "" : ", ") + std::string(family);
    }
    section_.warning(section_.line_of("algorithms"),
                     "algorithms has several families (" + list +
                         ") for one key source; keep what the issuer signs with");
  }

  void read_leeway() {
    milliseconds leeway{0};
    if (!section_.read_duration("leeway", leeway, {milliseconds(0), kLeewayMax})) return;
    leeway_ = std::chrono::floor<std::chrono::seconds>(leeway);
    if (leeway_ != leeway) {
      section_.error(section_.line_of("leeway"),
                     "leeway must be whole seconds, as the times in a token are");
    }
  }

  void read_types() {
    const auto texts = section_.read_texts("token_types");
    if (!texts) return;
    if (texts->empty()) {
      section_.error(
          section_.line_of("token_types"),
          "token_types must not be empty: no token would be accepted; leave it out for \"JWT\" and "
          "\"at+jwt\"");
    }
    types_ = values(*texts);
  }

  void refuse_others() {
    std::set<std::string_view> done;
    for (const LaterType& later : kLaterTypes) {
      for (const std::string_view key : later.keys) {
        if (key.empty() || !done.insert(key).second) continue;
        section_.refuse(key, not_available(std::string(key) + " (a key of type = \"" +
                                           std::string(later.type) + "\")"));
      }
    }
  }

  std::optional<VerifierEntry> make(Keys keys) {
    JwtOptions options{.issuer = std::move(issuer_),
                       .audience = std::move(audience_),
                       .algorithms = std::move(algorithms_),
                       .keys = std::move(keys),
                       .leeway = leeway_,
                       .token_types = std::move(types_),
                       .name = name_};
    try {
      Verifier made = jwt(options);
      return VerifierEntry{.name = name_,
                           .line = section_.line(),
                           .options = std::move(options),
                           .verifier = std::move(made)};
    } catch (const std::invalid_argument& error) {
      // The library begins its sentence with the verifier's name, as this section does.
      std::string_view text = error.what();
      const std::string prefix = "verifier " + name_ + ": ";
      if (text.starts_with(prefix)) text.remove_prefix(prefix.size());
      section_.error(section_.line(), std::string(text));
      return std::nullopt;
    }
  }

  Section& section_;
  Reading& reading_;
  std::string name_;
  std::optional<Keys> keys_;
  std::string issuer_;
  std::vector<std::string> audience_;
  std::vector<std::string> algorithms_;
  std::chrono::seconds leeway_{30};
  std::vector<std::string> types_{"JWT", "at+jwt"};
};

// False if the type is not that of a JWT verifier; then the other keys mean nothing yet.
bool read_type(Section& section) {
  std::string type;
  if (!section.read_string("type", type)) {
    if (!section.has("type"))
      section.error(section.line(), "type is missing; write type = \"jwt\"");
    return false;
  }
  if (type == "jwt") return true;
  std::vector<std::string> words{"jwt"};
  for (const LaterType& later : kLaterTypes) {
    words.emplace_back(later.type);
    if (later.type != type) continue;
    const std::string hint = type == "anonymous"
                                 ? "; leave it out and write insecure_anonymous = true on the route"
                                 : std::string();
    section.error(section.line_of("type"), not_available("type = " + in_quotes(type)) + hint);
    return false;
  }
  section.error(section.line_of("type"),
                "type must be \"jwt\", not " + in_quotes(type) + did_you_mean(type, words));
  return false;
}

}  // namespace

std::vector<std::string> read_verifiers(Section& root, Reading& reading, Config& config) {
  std::vector<std::string> names;
  const Entry* const all = root.read_table("verifier");
  if (all == nullptr) return names;
  for (const Entry& entry : std::get<Table>(all->node.value).entries) {
    const auto* const table = std::get_if<Table>(&entry.node.value);
    if (table == nullptr) {
      root.error(entry.line, "verifier." + entry.key + " must be a table, written [verifier." +
                                 entry.key + "], not " + std::string(kind_of(entry.node)));
      continue;
    }
    names.push_back(entry.key);
    Section section(*table, entry.node.line, "verifier " + entry.key, reading.findings);
    if (!read_type(section)) continue;
    if (auto verifier = JwtReader(section, reading, entry.key).read()) {
      config.verifiers.push_back(std::move(*verifier));
    }
  }
  return names;
}

}  // namespace sallyport::config
