#pragma once

#include <expected>
#include <optional>
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

/// Which server's admin API, and the file with its token.
struct AdminAccess {
  std::string url = "http://127.0.0.1:9090";
  std::string token_file;
};
// What was not given is nothing; what was given empty is not the same, and is refused.
struct ConnectionsCommand {
  AdminAccess admin;
  std::optional<std::string> subject;
  std::optional<std::string> route;
  bool json = false;  ///< the API's own objects instead of a table
};
struct RevokeCommand {
  AdminAccess admin;
  std::optional<std::string> subject;
  std::optional<std::string> session;
  std::optional<std::string> token_id;
  std::optional<std::string> issuer;
  std::optional<std::string> issued_before;  ///< Unix seconds, or "now"
  std::optional<std::string> keep;
  std::optional<std::string> reason;
  std::optional<std::string> lift;  ///< a revocation's number, instead of a new one
  bool list = false;                ///< likewise
  bool json = false;
};
struct PublishCommand {
  AdminAccess admin;
  std::string channel;
  std::string data;  ///< JSON
  bool json = false;
};

using Command = std::variant<ServeCommand, DemoCommand, CheckCommand, KeyNewCommand, TokenMintCommand,
                             TokenInspectCommand, ConnectionsCommand, RevokeCommand, PublishCommand>;

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
