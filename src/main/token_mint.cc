#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/json.h"
#include "core/base/secret.h"
#include "core/jose/jws.h"
#include "core/jose/key.h"
#include "feature/config/spelling.h"
#include "feature/config/units.h"
#include "main/status.h"
#include "main/token_command.h"
#include "server/keys.h"

namespace sallyport::main {
namespace {

using std::chrono::seconds;

// --claim NAME=JSON, each name once.
std::expected<boost::json::object, std::string> parse_claims(
    const std::vector<std::string>& texts) {
  boost::json::object claims;
  for (const std::string& text : texts) {
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      return std::unexpected("--claim must be NAME=JSON, such as --claim 'tenant=\"acme\"'");
    }
    const std::string name = text.substr(0, equals);
    auto value = base::parse_json(std::string_view(text).substr(equals + 1));
    if (!value) {
      return std::unexpected("--claim " + name +
                             ": what follows the = is not JSON; a string needs quotes, as in "
                             "--claim 'tenant=\"acme\"'");
    }
    if (!claims.emplace(name, std::move(*value)).second) {
      return std::unexpected("--claim " + name + " is given twice");
    }
  }
  return claims;
}

std::expected<seconds, std::string> parse_ttl(const std::string& text) {
  const auto ttl = config::parse_duration(text, true);
  if (!ttl) return std::unexpected("--ttl: " + ttl.error());
  const auto whole = std::chrono::floor<seconds>(*ttl);
  if (whole != *ttl)
    return std::unexpected("--ttl must be whole seconds, as the times in a token are");
  return whole;
}

std::expected<jose::Key, std::string> load_key(const TokenMintCommand& command) {
  const bool secret = !command.secret_file.empty();
  const std::string& path = secret ? command.secret_file : command.key_file;
  std::string text;
  try {
    text = read_file(path, secret ? jose::kSecretBytesMax + 2 : jose::kPemBytesMax);
  } catch (const std::runtime_error& error) {
    return std::unexpected(error.what());
  }
  const base::Secret whole(text);
  base::wipe(text.data(), text.size());
  std::string_view bytes = whole.reveal();
  if (secret) {  // as the verifier's secret_file: the newline of an editor is not part of it
    if (bytes.ends_with('\n')) bytes.remove_suffix(1);
    if (bytes.ends_with('\r')) bytes.remove_suffix(1);
  }
  auto key = secret ? jose::Key::from_secret(bytes, command.kid)
                    : jose::Key::from_private_pem(bytes, command.kid);
  if (!key) return std::unexpected(path + ": " + key.error().detail);
  return std::move(*key);
}

std::string names_of(std::span<const jose::Algorithm> algorithms) {
  std::vector<std::string> names;
  for (const jose::Algorithm algorithm : algorithms) names.emplace_back(jose::to_string(algorithm));
  return in_a_row(names, "or");
}

std::string unknown_algorithm(const std::string& name) {
  std::vector<std::string> all;
  for (const jose::Algorithm algorithm : jose::kAllAlgorithms) {
    all.emplace_back(jose::to_string(algorithm));
  }
  return "--alg " + name + " is not one of " + in_a_row(all, "or") +
         config::did_you_mean(name, all);
}

// Why that key does not sign with that algorithm, and what it does sign with.
std::string misfit(const TokenMintCommand& command, const jose::Key& key) {
  std::vector<jose::Algorithm> fitting;
  for (const jose::Algorithm algorithm : jose::kAllAlgorithms) {
    if (key.allows(algorithm)) fitting.push_back(algorithm);
  }
  const std::string& path =
      command.secret_file.empty() ? command.key_file : command.secret_file;
  return path + ": this key cannot sign with " + command.algorithm + "; it is for " +
         names_of(fitting);
}

}  // namespace

std::vector<std::string> missing_options(const TokenMintCommand& command) {
  const auto claimed = [&](std::string_view name) {
    return std::any_of(
        command.claims.begin(), command.claims.end(), [&](std::string_view claim) {
          return claim.substr(0, claim.find('=')) == name && claim.size() > name.size();
        });
  };
  std::vector<std::string> missing;
  if (command.key_file.empty() && command.secret_file.empty()) {
    missing.emplace_back("--key (or, for HS*, --secret-file)");
  }
  if (command.algorithm.empty()) missing.emplace_back("--alg");
  if (command.issuer.empty() && !claimed("iss")) missing.emplace_back("--iss");
  if (command.audience.empty() && !claimed("aud")) missing.emplace_back("--aud");
  if (command.subject.empty() && !claimed("sub")) missing.emplace_back("--sub");
  return missing;
}

std::expected<std::string, std::string> mint_payload(const TokenMintCommand& command,
                                                     std::chrono::sys_seconds now) {
  const auto given = parse_claims(command.claims);
  if (!given) return std::unexpected(given.error());
  const auto ttl = parse_ttl(command.ttl);
  if (!ttl) return std::unexpected(ttl.error());
  const std::int64_t expires = (now + *ttl).time_since_epoch().count();
  boost::json::object claims;
  if (!command.issuer.empty()) claims["iss"] = command.issuer;
  if (command.audience.size() == 1) claims["aud"] = command.audience.front();
  if (command.audience.size() > 1) {
    claims["aud"] = boost::json::array(command.audience.begin(), command.audience.end());
  }
  if (!command.subject.empty()) claims["sub"] = command.subject;
  if (!command.scope.empty()) claims["scope"] = command.scope;
  // A token that has expired was issued before that, too.
  claims["iat"] = std::min<std::int64_t>(now.time_since_epoch().count(), expires);
  claims["exp"] = expires;
  for (const auto& [name, value] : *given) claims.insert_or_assign(name, value);
  return boost::json::serialize(claims);
}

int token_mint(const TokenMintCommand& command) {
  if (const auto missing = missing_options(command); !missing.empty()) {
    return complain(kUsage, in_a_row(missing, "and") +
                                (missing.size() == 1 ? " is" : " are") +
                                " required; for help: sallyport token mint --help");
  }
  const auto algorithm = jose::algorithm_from_name(command.algorithm);
  if (!algorithm) return complain(kUsage, unknown_algorithm(command.algorithm));
  const auto payload =
      mint_payload(command, std::chrono::floor<seconds>(std::chrono::system_clock::now()));
  if (!payload) return complain(kUsage, payload.error());
  const auto key = load_key(command);
  if (!key) return complain(kUsage, key.error());
  if (!key->allows(*algorithm)) return complain(kUsage, misfit(command, *key));
  const auto token = jose::sign_compact(*payload, *key, *algorithm);
  if (!token) {
    return complain(kUsage, "this key cannot sign with " + command.algorithm + ": " +
                                std::string(jose::to_string(token.error())));
  }
  return print(*token + "\n") ? kDone : kFailed;
}

}  // namespace sallyport::main
