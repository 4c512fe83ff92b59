#include <chrono>
#include <cstdio>
#include <iostream>
#include <string_view>
#include <utility>
#include <vector>

#include "core/http/grammar.h"
#include "core/jose/jwt.h"
#include "feature/config/config.h"
#include "main/status.h"
#include "main/token_command.h"
#include "server/keys.h"

namespace sallyport::main {
namespace {

constexpr std::size_t kInputBytesMax = std::size_t{64} * 1024;

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

std::string line_of(bool passed, std::string_view name, std::string_view detail) {
  std::string line = passed ? "  ok    " : "  FAIL  ";
  line += name;
  if (!detail.empty()) line += ": " + std::string(detail);
  return line + "\n";
}

// The explanation is the library's, and so is the verdict: what `serve` would say is asked of the
// verifier itself, so that the two cannot differ.
bool explain(const config::VerifierEntry& entry, const std::string& token, WallTime now) {
  const auto checks =
      jose::explain_jwt(token, policy_of(entry.options), entry.options.keys.loaded().keys, now);
  std::string text = "verifier " + entry.name + "\n";
  bool passed = true;
  for (const jose::JwtCheck& check : checks) {
    text += line_of(check.passed, check.name, check.detail);
    passed = passed && check.passed;
  }
  const auto verdict = entry.verifier.backends().front()->verify_now(
      {.kind = CredentialKind::kHeader, .token = token}, now);
  const bool accepted = verdict && verdict->accepted();
  if (passed && !accepted)
    text += line_of(false, "verdict", verdict ? verdict->detail() : "no answer");
  text += accepted ? "acceptable\n" : "not acceptable\n";
  print(text);
  return accepted;
}

// The verifiers to ask: the one that was named, or those of the token's issuer, or all of them.
std::vector<const config::VerifierEntry*> choose(const config::Config& config,
                                                 const std::string& wanted,
                                                 const std::string& token) {
  std::vector<const config::VerifierEntry*> chosen;
  const auto issuer = jose::peek_issuer(token);
  for (const config::VerifierEntry& entry : config.verifiers) {
    if (wanted.empty() ? issuer && *issuer == entry.options.issuer : wanted == entry.name) {
      chosen.push_back(&entry);
    }
  }
  if (!chosen.empty() || !wanted.empty()) return chosen;
  for (const config::VerifierEntry& entry : config.verifiers) chosen.push_back(&entry);
  return chosen;
}

}  // namespace

int token_inspect(const TokenInspectCommand& command) {
  const auto config = config::load(command.config);
  if (!config) {
    for (const config::Finding& finding : config.error()) {
      std::fprintf(stderr, "%s\n", config::to_string(finding).c_str());
    }
    return kUsage;
  }
  const std::string token = read_token();
  if (token.empty()) return complain(kUsage, "there is no token on stdin");
  const auto chosen = choose(*config, command.verifier, token);
  if (chosen.empty()) {
    return complain(kUsage, command.verifier.empty() ? command.config + " has no verifier"
                                                     : "there is no verifier " + command.verifier +
                                                           " in " + command.config);
  }
  const auto now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  bool accepted = false;
  for (const config::VerifierEntry* const entry : chosen)
    accepted = explain(*entry, token, now) || accepted;
  return accepted ? kDone : kFailed;
}

}  // namespace sallyport::main
