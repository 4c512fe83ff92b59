// The only file that sees CLI11 (its headers are heavy).

#include "main/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <optional>
#include <string_view>
#include <utility>

#include "feature/config/finding.h"
#include "feature/config/spelling.h"
#include "main/status.h"

namespace sallyport::main {

std::string in_a_row(const std::vector<std::string>& words, std::string_view last) {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i != 0) text += i + 1 == words.size() ? " " + std::string(last) + " " : ", ";
    text += words[i];
  }
  return text;
}

namespace {

// Described in the reference, and to come.
constexpr std::array<std::string_view, 1> kLaterCommands{"connect"};

class Parser {
 public:
  Parser() {
    app_.set_version_flag("--version", "sallyport " SALLYPORT_VERSION, "The version");
    app_.require_subcommand(1);
    app_.get_formatter()->column_width(32);
    add_server_commands();
    add_key();
    add_token();
    add_admin();
  }

  std::expected<Command, Answer> parse(int argc, const char* const* argv) {
    if (argc > 1 &&
        std::find(kLaterCommands.begin(), kLaterCommands.end(), argv[1]) != kLaterCommands.end()) {
      return std::unexpected(
          Answer{kUsage, "not available in this version: the command " + std::string(argv[1])});
    }
    if (auto unknown = find_unknown_command(argc, argv))
      return std::unexpected(std::move(*unknown));
    try {
      app_.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      return std::unexpected(answer(error));
    }
    if (serve_->parsed()) return serve_options_;
    if (demo_->parsed()) return demo_options_;
    if (check_->parsed()) return check_options_;
    if (key_new_->parsed()) return key_options_;
    if (mint_->parsed()) return mint_options_;
    if (connections_->parsed()) return connections_options_;
    if (revoke_->parsed()) return revoke_options_;
    if (publish_->parsed()) return publish_options_;
    return inspect_options_;
  }

 private:
  void add_server_commands() {
    serve_ = app_.add_subcommand("serve", "Run the server");
    serve_->add_option("-c,--config", serve_options_.config, "The configuration file")
        ->required()
        ->type_name("FILE");
    demo_ = app_.add_subcommand("demo",
                                "Run a demonstration on this machine: fresh keys, a page to try");
    demo_->add_option("--listen", demo_options_.listen, "A loopback address and port")
        ->type_name("ADDR")
        ->capture_default_str();
    check_ = app_.add_subcommand("check", "Check a configuration and every file it names");
    check_->add_option("-c,--config", check_options_.config, "The configuration file")
        ->required()
        ->type_name("FILE");
    check_->add_flag("--strict", check_options_.strict, "Fail on warnings too");
  }

  void add_key() {
    CLI::App* const key = app_.add_subcommand("key", "Make keys");
    key->require_subcommand(1);
    key_new_ = key->add_subcommand("new", "Make a key pair: a private key and its JWK Set");
    key_new_->add_option("--alg", key_options_.algorithm, "ES256, EdDSA, RS256, ...")
        ->required()
        ->type_name("ALG");
    key_new_->add_option("--kid", key_options_.kid, "The key id; default: the key's thumbprint")
        ->type_name("KID");
    key_new_
        ->add_option("--private", key_options_.private_file,
                     "Where the private key goes (PEM, mode 0600)")
        ->required()
        ->type_name("FILE");
    key_new_->add_option("--jwks", key_options_.jwks_file, "Where the public key goes (JWK Set)")
        ->required()
        ->type_name("FILE");
    key_new_->add_flag("--force", key_options_.force, "Replace files that exist");
  }

  void add_token() {
    CLI::App* const token = app_.add_subcommand("token", "Make and explain tokens");
    token->require_subcommand(1);
    mint_ = token->add_subcommand("mint", "Sign a token and print it");
    const auto option = [&](const char* flag, std::string& target, const char* text,
                            const char* type) {
      return mint_->add_option(flag, target, text)->type_name(type);
    };
    // What is required depends on other options, so that the command itself looks (see
    // `missing_options`); the help says it in CLI11's own way.
    CLI::Option* const key = option("--key", mint_options_.key_file,
                                    "The private key (PEM); this or --secret-file", "FILE");
    option("--secret-file", mint_options_.secret_file, "The secret, for HS*", "FILE")
        ->excludes(key);
    option("--alg", mint_options_.algorithm, "ES256, HS256, ...", "ALG REQUIRED");
    option("--kid", mint_options_.kid, "The key id in the token's header", "KID");
    option("--iss", mint_options_.issuer, "The issuer", "ISS REQUIRED");
    mint_->add_option("--aud", mint_options_.audience, "An audience; may be repeated")
        ->type_name("AUD REQUIRED")
        ->allow_extra_args(false);
    option("--sub", mint_options_.subject, "The subject", "SUB REQUIRED");
    option("--scope", mint_options_.scope, "Scopes, separated by spaces", "SCOPES");
    option("--ttl", mint_options_.ttl, "How long it lives; -60s makes an expired one", "TIME")
        ->capture_default_str();
    mint_
        ->add_option("--claim", mint_options_.claims,
                     "A further claim, or one instead of --iss, --aud, --sub; may be repeated")
        ->type_name("NAME=JSON")
        ->allow_extra_args(false);
    inspect_ = token->add_subcommand("inspect", "Read a token from stdin and explain each check");
    inspect_->add_option("-c,--config", inspect_options_.config, "The configuration file")
        ->required()
        ->type_name("FILE");
    inspect_
        ->add_option("--verifier", inspect_options_.verifier,
                     "Its verifier; default: by the issuer")
        ->type_name("NAME");
  }

  static void add_access(CLI::App* command, AdminAccess& access, bool& json) {
    command->add_option("--admin", access.url, "The server's admin API")
        ->type_name("URL")
        ->capture_default_str();
    command->add_option("--admin-token-file", access.token_file, "The file with its token")
        ->required()
        ->type_name("FILE");
    command->add_flag("--json", json, "Print what the API answers");
  }

  void add_admin() {
    connections_ = app_.add_subcommand("connections", "Who is connected to a running server");
    add_access(connections_, connections_options_.admin, connections_options_.json);
    connections_->add_option("--subject", connections_options_.subject, "Only of that subject")
        ->type_name("SUB");
    connections_->add_option("--route", connections_options_.route, "Only of that route, such as /chat/:room")
        ->type_name("ROUTE");
    add_revoke();
    publish_ = app_.add_subcommand("publish", "Publish to a channel of a running server");
    add_access(publish_, publish_options_.admin, publish_options_.json);
    publish_->add_option("channel", publish_options_.channel, "The channel, such as room/blue")
        ->required()
        ->type_name("CHANNEL");
    publish_->add_option("data", publish_options_.data, "What to say, as JSON: '\"hello\"'")
        ->required()
        ->type_name("DATA");
  }

  void add_revoke() {
    revoke_ = app_.add_subcommand("revoke", "End logins on a running server, and keep them out");
    add_access(revoke_, revoke_options_.admin, revoke_options_.json);
    const auto option = [&](const char* flag, std::optional<std::string>& target, const char* text,
                            const char* type) {
      return revoke_->add_option(flag, target, text)->type_name(type);
    };
    CLI::Option* const list =
        revoke_->add_flag("--list", revoke_options_.list, "Show what is kept out instead");
    CLI::Option* const lift =
        option("--lift", revoke_options_.lift, "Let that revocation's logins in again", "ID");
    lift->excludes(list);
    for (CLI::Option* const selector :
         {option("--subject", revoke_options_.subject, "Whose logins; several options must all match", "SUB"),
          option("--session", revoke_options_.session, "Which login (sid)", "SID"),
          option("--token-id", revoke_options_.token_id, "Which token (jti)", "JTI"),
          option("--issuer", revoke_options_.issuer, "Whose tokens (iss)", "ISS"),
          option("--issued-before", revoke_options_.issued_before,
                 "Only those issued before: now, or Unix seconds", "TIME"),
          option("--keep", revoke_options_.keep, "How long they are kept out; default: the server's", "30d"),
          option("--reason", revoke_options_.reason,
                 "What they are told: token_revoked (default) or logged_out", "WORD")}) {
      selector->excludes(list);
      selector->excludes(lift);
    }
  }

  // CLI11 says of a misspelt command only that one is missing.
  [[nodiscard]] std::optional<Answer> find_unknown_command(int argc,
                                                           const char* const* argv) const {
    const CLI::App* app = &app_;
    for (int i = 1; i < argc && argv[i][0] != '-'; ++i) {
      std::vector<std::string> names;
      const CLI::App* next = nullptr;
      for (const CLI::App* const command :
           app->get_subcommands([](const CLI::App*) { return true; })) {
        names.push_back(command->get_name());
        if (command->get_name() == argv[i]) next = command;
      }
      if (names.empty()) return std::nullopt;
      if (next == nullptr) {
        return Answer{kUsage, "there is no command " + path_of(app) + " " + argv[i] +
                                  config::did_you_mean(argv[i], names) +
                                  "; for help: " + path_of(app) + " --help"};
      }
      app = next;
    }
    return std::nullopt;
  }

  // "sallyport token mint".
  [[nodiscard]] std::string path_of(const CLI::App* app) const {
    return app->get_parent() == nullptr ? app->get_name()
                                        : path_of(app->get_parent()) + " " + app->get_name();
  }

  [[nodiscard]] const CLI::App* innermost() const {
    const CLI::App* app = &app_;
    while (!app->get_subcommands().empty()) app = app->get_subcommands().front();
    return app;
  }

  [[nodiscard]] Answer answer(const CLI::ParseError& error) const {
    const CLI::App* const app = innermost();
    if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
      const bool is_version = dynamic_cast<const CLI::CallForVersion*>(&error) != nullptr;
      const std::string parent =
          app->get_parent() == nullptr ? std::string() : path_of(app->get_parent());
      return {kDone, is_version ? std::string(error.what()) + "\n" : app->help(parent)};
    }
    return {kUsage, explain(error, app) + "; for help: " + path_of(app) + " --help"};
  }

  // CLI11's own sentences speak of its arguments and numbers, and tell of what is missing before
  // what is misspelt.
  [[nodiscard]] std::string explain(const CLI::ParseError& error, const CLI::App* app) const {
    const std::vector<std::string> rest = app_.remaining(true);
    if (!rest.empty()) return unexpected(rest, app);
    if (dynamic_cast<const CLI::RequiredError*>(&error) != nullptr) return missing(app);
    const std::string_view what = error.what();
    if (dynamic_cast<const CLI::ArgumentMismatch*>(&error) != nullptr) {
      const std::string name(what.substr(0, what.find_first_of(": ")));
      const CLI::Option* const option = app->get_option_no_throw(name);
      if (option != nullptr && what.find("At Most") != std::string_view::npos) {
        return name + " is given more than once";
      }
      if (option != nullptr) return name + " needs a value behind it";
    }
    if (dynamic_cast<const CLI::ExcludesError*>(&error) != nullptr) {
      const std::size_t verb = what.find(" excludes ");
      if (verb != std::string_view::npos) {
        return std::string(what.substr(0, verb)) + " and " +
               std::string(what.substr(verb + std::string_view(" excludes ").size())) +
               " cannot be given together";
      }
    }
    return std::string(what);
  }

  [[nodiscard]] static std::string unexpected(const std::vector<std::string>& rest,
                                              const CLI::App* app) {
    const auto option = std::find_if(rest.begin(), rest.end(), [](const std::string& word) {
      return word.size() > 1 && word.starts_with('-');
    });
    if (option == rest.end()) {
      return "the command " + app->get_name() + " takes no " + config::in_quotes(rest.front()) +
             "; options begin with --";
    }
    std::vector<std::string> names;
    for (const CLI::Option* const known : app->get_options()) names.push_back(known->get_name());
    const std::string name = option->substr(0, option->find('='));
    return "there is no option " + name + config::did_you_mean(name, names);
  }

  [[nodiscard]] static std::string missing(const CLI::App* app) {
    std::vector<std::string> names;
    for (const CLI::Option* const option : app->get_options()) {
      if (option->get_required() && option->count() == 0) names.push_back(option->get_name());
    }
    if (!names.empty()) return in_a_row(names, "and") + (names.size() == 1 ? " is" : " are") + " required";
    for (const CLI::App* const command :
         app->get_subcommands([](const CLI::App*) { return true; })) {
      names.push_back(command->get_name());
    }
    return "a command is missing: " + in_a_row(names, "or");
  }

  CLI::App app_{"Authentication for WebSocket connections", "sallyport"};
  CLI::App* serve_ = nullptr;
  CLI::App* demo_ = nullptr;
  CLI::App* check_ = nullptr;
  CLI::App* key_new_ = nullptr;
  CLI::App* mint_ = nullptr;
  CLI::App* inspect_ = nullptr;
  CLI::App* connections_ = nullptr;
  CLI::App* revoke_ = nullptr;
  CLI::App* publish_ = nullptr;
  ServeCommand serve_options_;
  DemoCommand demo_options_;
  CheckCommand check_options_;
  KeyNewCommand key_options_;
  TokenMintCommand mint_options_;
  TokenInspectCommand inspect_options_;
  ConnectionsCommand connections_options_;
  RevokeCommand revoke_options_;
  PublishCommand publish_options_;
};

}  // namespace

std::expected<Command, Answer> parse_command_line(int argc, const char* const* argv) {
  return Parser().parse(argc, argv);
}

}  // namespace sallyport::main
