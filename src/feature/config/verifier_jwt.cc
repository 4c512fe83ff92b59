#include "feature/config/verifier_jwt.h"

#include <array>
#include <chrono>
#include <set>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include "core/jose/algorithm.h"
#include "core/jose/key.h"
#include "feature/config/spelling.h"
#include "feature/config/verifier_making.h"
#include "io/http_client.h"
#include "server/keys.h"

namespace sallyport::config {
namespace {

using std::chrono::milliseconds;

constexpr std::string_view kSourceNames =
    "jwks_file, jwks_url, discovery = true, secret_file and public_key_file";

struct FileSource {
  std::string_view key;
  KeySource source;
};
constexpr std::array<FileSource, 3> kFileSources{{{"jwks_file", KeySource::kJwks},
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
    if (!section_.read_string("issuer", issuer_) && !section_.has("issuer")) {
      section_.error(section_.line(), "issuer is missing; write the exact iss of the tokens");
    }
    read_audience();
    read_algorithms();
    read_keys();
    read_leeway();
    read_types("token_types", "\"JWT\" and \"at+jwt\"", types_);
    read_types("logout_token_types", "\"logout+jwt\"", logout_types_);
    read_logout_audience();
    if (reading_.findings.error_count() != errors || !keys_) return std::nullopt;
    return make(*std::move(keys_));
  }

 private:
  void read_keys() {
    const bool values = refuse_values();
    int sources = 0;
    for (const FileSource& source : kFileSources) {
      std::string path;
      const bool good = section_.read_string(source.key, path);
      if (!section_.has(source.key)) continue;
      ++sources;
      if (good) load(source, reading_.path(path));
    }
    std::string url;
    const bool has_url = section_.read_string("jwks_url", url);
    if (section_.has("jwks_url")) ++sources;
    bool discovery = false;
    const bool good = section_.read_boolean("discovery", discovery);
    if (section_.has("discovery") && (discovery || !good)) ++sources;
    if (sources > 1) {
      section_.error(section_.line(),
                     "has several key sources; keep one of " + std::string(kSourceNames));
    } else if (has_url) {
      fetch("jwks_url", url);
    } else if (discovery) {
      discover();
    } else if (sources == 0 && !values) {
      section_.error(section_.line(),
                     "has no keys; name them with one of " + std::string(kSourceNames));
    }
  }

  void load(const FileSource& source, const std::string& path) {
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

  // The thing itself instead of the file that holds it. True if there is one.
  bool refuse_values() {
    bool found = false;
    for (const FileSource& source : kFileSources) {
      const std::string key(source.key.substr(0, source.key.rfind("_file")));
      found = found || section_.has(key);
      section_.refuse(
          key, key + " is read from a file; write " + std::string(source.key) + " = \"...\"");
    }
    return found;
  }

  // Nobody is asked here: keys are fetched while the server runs.
  void fetch(std::string_view key, const std::string& url) {
    refuse_secrets(key);
    if (const auto parsed = io::HttpUrl::parse(url); !parsed) {
      section_.error(section_.line_of(key), std::string(key) + ": " + parsed.error());
      return;
    }
    keys_ = make_part<Keys>({.section = section_, .verifier = name_, .key = key},
                            reading_.factories.jwks, url, JwksOptions{});
  }

  void discover() {
    refuse_secrets("discovery");
    const auto parsed = io::HttpUrl::parse(issuer_);
    if (issuer_.empty()) return;  // said already
    if (!parsed || issuer_.find('?') != std::string::npos) {
      section_.error(section_.line_of("issuer"),
                     "issuer: discovery asks the issuer for its keys: " +
                         (parsed ? "the issuer must have no query" : parsed.error()));
      return;
    }
    keys_ = make_part<Keys>({.section = section_, .verifier = name_, .key = "discovery"},
                            reading_.factories.discovered, JwksOptions{});
  }

  // A secret that is fetched from a public place is none: whoever reads it there can sign.
  void refuse_secrets(std::string_view source) {
    for (const std::string& algorithm : algorithms_) {
      if (!algorithm.starts_with("HS")) continue;
      section_.error(section_.line_of("algorithms"),
                     "algorithms: " + in_quotes(algorithm) + " needs a secret, and what " +
                         std::string(source) +
                         " finds is public; use secret_file, or leave it out");
      return;
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

  void read_types(std::string_view key, std::string_view usual, std::vector<std::string>& types) {
    const auto texts = section_.read_texts(key);
    if (!texts) return;
    if (texts->empty()) {
      section_.error(section_.line_of(key), std::string(key) +
                                                " must not be empty: no token would be accepted; "
                                                "leave it out for " +
                                                std::string(usual));
    }
    types = values(*texts);
  }

  void read_logout_audience() {
    const auto texts = section_.read_texts("logout_audience");
    if (!texts) return;
    if (texts->empty()) {
      section_.error(section_.line_of("logout_audience"),
                     "logout_audience must not be empty; write the client's id at the issuer, or leave it "
                     "out where that is in audience");
    }
    logout_audience_ = values(*texts);
  }

  std::optional<VerifierEntry> make(Keys keys) {
    JwtOptions options{.issuer = std::move(issuer_),
                       .audience = std::move(audience_),
                       .algorithms = std::move(algorithms_),
                       .keys = std::move(keys),
                       .leeway = leeway_,
                       .token_types = std::move(types_),
                       .logout_token_types = std::move(logout_types_),
                       .logout_audience = std::move(logout_audience_),
                       .name = name_};
    const std::function<Verifier(JwtOptions)> factory = jwt;
    auto made = make_part<Verifier>({.section = section_, .verifier = name_}, factory, options);
    if (!made) return std::nullopt;
    return VerifierEntry{.name = name_,
                         .line = section_.line(),
                         .type = VerifierType::kJwt,
                         .verifier = *std::move(made),
                         .jwt = std::move(options)};
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
  std::vector<std::string> logout_types_{"logout+jwt"};
  std::vector<std::string> logout_audience_;
};

}  // namespace

std::optional<VerifierEntry> read_jwt(Section& section, Reading& reading, const std::string& name) {
  return JwtReader(section, reading, name).read();
}

}  // namespace sallyport::config
