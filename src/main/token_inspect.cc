#include "main/token_inspect.h"

#include <chrono>
#include <cstdio>
#include <expected>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include "core/jose/jwt.h"
#include "feature/config/units.h"
#include "main/factories.h"
#include "main/status.h"
#include "main/token_command.h"
#include "server/keys.h"

namespace sallyport::main {
namespace {

constexpr std::size_t kInputBytesMax = std::size_t{64} * 1024;
constexpr std::chrono::milliseconds kLongLife = std::chrono::hours(1);

using Entries = std::vector<const config::VerifierEntry*>;

std::string read_token() {
  std::string input(kInputBytesMax, '\0');
  std::cin.read(input.data(), static_cast<std::streamsize>(input.size()));
  input.resize(static_cast<std::size_t>(std::cin.gcount()));
  const std::string_view space = " \t\r\n";
  const std::size_t begin = input.find_first_not_of(space);
  if (begin == std::string::npos) return {};
  return input.substr(begin, input.find_last_not_of(space) - begin + 1);
}

jose::JwtPolicy policy_of(const JwtOptions& options) {
  jose::JwtPolicy policy{.issuer = options.issuer,
                         .audience = options.audience,
                         .algorithms = {},
                         .leeway = options.leeway,
                         .token_types = options.token_types};
  for (const std::string& name : options.algorithms) {
    if (const auto algorithm = jose::algorithm_from_name(name))
      policy.algorithms.push_back(*algorithm);
  }
  return policy;
}

std::string line_of(std::string_view mark, std::string_view name, std::string_view detail) {
  std::string line = "  " + std::string(mark) + std::string(name);
  if (!detail.empty()) line += ": " + std::string(detail);
  return line + "\n";
}
constexpr std::string_view kOk = "ok    ";
constexpr std::string_view kFail = "FAIL  ";
constexpr std::string_view kNote = "note  ";

// What no configuration can say, since only a token knows its life.
std::string note_of(const Principal& who) {
  if (!who.issued_at || !who.expires_at) return {};
  const std::chrono::milliseconds life = *who.expires_at - *who.issued_at;
  if (life <= kLongLife) return {};
  return line_of(kNote, "life",
                 config::format_duration(std::chrono::floor<std::chrono::minutes>(life)) +
                     ", and nobody can take it back meanwhile; an hour or less is better");
}

// The explanation is the library's, and so is the verdict: what `serve` would say is asked of a
// verifier of the same options, so that the two cannot differ.
bool explain(const JwtOptions& options, const jose::KeySet& keys, const std::string& token,
             WallTime now, std::string& text) {
  bool passed = true;
  for (const jose::JwtCheck& check : jose::explain_jwt(token, policy_of(options), keys, now)) {
    text += line_of(check.passed ? kOk : kFail, check.name, check.detail);
    passed = passed && check.passed;
  }
  JwtOptions at_hand = options;
  at_hand.keys = Keys(std::make_shared<const Keys::Loaded>(Keys::Loaded{.keys = keys}));
  bool accepted = false;
  std::string fault = "no answer";
  try {
    const Verifier verifier = jwt(std::move(at_hand));
    const auto verdict = verifier.backends().front()->verify_now(
        {.kind = CredentialKind::kHeader, .token = token}, now);
    accepted = verdict && verdict->accepted();
    if (verdict) fault = verdict->detail();
    if (accepted) text += note_of(*verdict->principal());
  } catch (const std::invalid_argument& error) {
    fault = error.what();  // fetched keys of which none fits
  }
  if (passed && !accepted) text += line_of(kFail, "verdict", fault);
  text += accepted ? "acceptable\n" : "not acceptable\n";
  return accepted;
}

std::vector<jose::Algorithm> algorithms_of(const JwtOptions& options) {
  return policy_of(options).algorithms;
}

// The verifiers to ask: the one that was named, or those of the token's issuer, or all that judge
// such tokens.
Entries choose(const config::Config& config, const std::string& wanted, const std::string& token) {
  Entries chosen;
  const auto issuer = jose::peek_issuer(token);
  for (const config::VerifierEntry& entry : config.verifiers) {
    const bool same = entry.jwt && issuer && *issuer == entry.jwt->issuer;
    if (wanted.empty() ? same : wanted == entry.name) chosen.push_back(&entry);
  }
  if (!chosen.empty() || !wanted.empty()) return chosen;
  for (const config::VerifierEntry& entry : config.verifiers) {
    if (entry.jwt) chosen.push_back(&entry);
  }
  return chosen;
}

// What is acceptable to the second of them alone is refused where a route names both.
std::string note_of_shared_issuer(const config::Config& config, const JwtOptions& chosen) {
  std::vector<std::string> names;
  for (const config::VerifierEntry& entry : config.verifiers) {
    if (entry.jwt && entry.jwt->issuer == chosen.issuer) names.push_back(entry.name);
  }
  if (names.size() < 2) return {};
  return "note: the verifiers " + in_a_row(names, "and") +
         " have the same issuer; of those that a route names, only the first is asked\n";
}

std::string why_not(config::VerifierType type) {
  using enum config::VerifierType;
  switch (type) {
    case kIntrospection:
      return "asks an endpoint about each token, and only the endpoint knows what it is";
    case kSession:
      return "looks a session up in a store; a session cookie is no JSON Web Token";
    case kKeys:
      return "compares API keys with a file of their hashes; a key is no JSON Web Token";
    case kCertificate:
      return "judges client certificates, not tokens";
    case kHttp:
      return "asks the application about each credential";
    case kAnonymous:
      return "lets everybody in, without a token";
    case kJwt:
      break;
  }
  return {};
}

}  // namespace

Inspection inspect_token(const config::Config& config, const std::string& wanted,
                         const std::string& token, WallTime now) {
  const Entries chosen = choose(config, wanted, token);
  if (chosen.empty()) {
    return {.status = kUsage,
            .complaint = wanted.empty() ? "no verifier there is of type \"jwt\""
                                        : "there is no verifier " + wanted};
  }
  Inspection result{.status = kFailed};
  if (chosen.front()->jwt) result.text = note_of_shared_issuer(config, *chosen.front()->jwt);
  for (const config::VerifierEntry* const entry : chosen) {
    const std::string name = "verifier " + entry->name;
    if (!entry->jwt) {
      return {.status = kUsage,
              .complaint = name + " is of type \"" + std::string(config::name(entry->type)) +
                           "\": it " + why_not(entry->type)};
    }
    result.text += name + "\n";
    const auto keys = fetch_keys(entry->jwt->keys, {.issuer = entry->jwt->issuer,
                                                    .verifier = entry->name,
                                                    .algorithms = algorithms_of(*entry->jwt)});
    if (!keys) {
      result.text += line_of(kFail, "keys", "could not be fetched: " + keys.error());
      result.text += "unknown: without keys nothing can be said about a token\n";
    } else if (explain(*entry->jwt, *keys, token, now, result.text)) {
      result.status = kDone;
    }
  }
  return result;
}

int token_inspect(const TokenInspectCommand& command) {
  const auto config = config::load(command.config, verifier_factories());
  if (!config) {
    for (const config::Finding& finding : config.error()) {
      std::fprintf(stderr, "%s\n", config::to_string(finding).c_str());
    }
    return kUsage;
  }
  const std::string token = read_token();
  if (token.empty()) return complain(kUsage, "there is no token on stdin");
  const auto now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  const Inspection result = inspect_token(*config, command.verifier, token, now);
  if (!result.complaint.empty()) {
    return complain(result.status, command.config + ": " + result.complaint);
  }
  print(result.text);
  return result.status;
}

}  // namespace sallyport::main
