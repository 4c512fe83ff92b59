#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace sallyport::main {

struct ServeCommand {
  std::string config;
};
struct DemoCommand {
  std::string listen = "127.0.0.1:8080";
};
struct CheckCommand {
  std::string config;
  bool strict = false;  ///< warnings count as failure
};
struct KeyNewCommand {
  std::string algorithm;
  std::string kid;  ///< empty: the key's thumbprint
  std::string private_file;
  std::string jwks_file;
  bool force = false;  ///< existing files are replaced
};
struct TokenMintCommand {
  std::string key_file;  ///< PEM; this or the secret
  std::string secret_file;
  std::string algorithm;
  std::string kid;
  std::string issuer;
  std::vector<std::string> audience;
  std::string subject;
  std::string scope;
  std::string ttl = "60s";
  std::vector<std::string> claims;  ///< NAME=JSON
};
struct TokenInspectCommand {
  std::string config;
  std::string verifier;  ///< empty: the one that the token's issuer names
};

using Command = std::variant<ServeCommand, DemoCommand, CheckCommand, KeyNewCommand,
                             TokenMintCommand, TokenInspectCommand>;

/// What is printed, and the exit status, instead of running a command: help, the version, a usage
/// error.
struct Answer {
  int status = 0;
  std::string text;  ///< for stdout if the status is 0, otherwise one line for stderr
};

/// "a, b and c", where `last` is "and".
[[nodiscard]] std::string in_a_row(const std::vector<std::string>& words, std::string_view last);

[[nodiscard]] std::expected<Command, Answer> parse_command_line(int argc, const char* const* argv);

}  // namespace sallyport::main
