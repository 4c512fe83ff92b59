#include "feature/config/route_section.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "core/http/route_pattern.h"
#include "feature/config/route_access.h"
#include "feature/config/route_credentials.h"
#include "feature/config/route_matrix.h"
#include "feature/config/spelling.h"

namespace sallyport::config {
namespace {

using std::chrono::milliseconds;
using namespace std::chrono_literals;
using namespace sallyport::literals;

constexpr std::array<std::string_view, 25> kWebSocketKeys{
    "verifiers",          "credentials",    "origins",       "scopes",        "claims",
    "allow_addresses",    "deny_addresses", "reject",        "close_codes",   "auth_timeout",
    "pre_auth_bytes",     "refresh_lead",   "max_session",   "message_bytes", "messages_per_second",
    "send_queue_bytes",   "slow_consumer",  "ping_interval", "idle_timeout",  "compression",
    "insecure_anonymous", "permit",         "resume",        "when_full",     "connections_per_subject"};
constexpr std::array<std::string_view, 4> kLaterKeys{"upstream", "upstream_path", "identity",
                                                    "forward_credentials"};

constexpr milliseconds kDay = 24h;

// What is read of a route, and where it stands, until the whole of it is known to be good.
class RouteReader {
 public:
  RouteReader(Section& section, Reading& reading, const std::vector<std::string>& verifiers,
              Config& config, std::set<std::string>& named)
      : section_(section), reading_(reading), defined_(verifiers), config_(config), named_(named) {}

  // The route, with faults too: what the others are compared with is its path.
  std::pair<RouteEntry, std::optional<http::RoutePattern>> read() {
    entry_.line = section_.line();
    read_path();
    const bool known = read_handler();
    for (const std::string_view key : kLaterKeys) section_.unavailable(key);
    if (!known) {
      for (const std::string_view key : kWebSocketKeys) section_.ignore(key);
      section_.ignore("root");
    } else if (entry_.handler == Handler::kStatic) {
      read_static();
    } else {
      read_web_socket();
    }
    section_.finish();
    return {std::move(entry_), std::move(pattern_)};
  }

 private:
  void read_path() {
    if (!section_.read_string("path", entry_.path)) {
      if (!section_.has("path")) {
        section_.error(section_.line(),
                       "path is missing; write for example path = \"/chat/:room\"");
      }
      return;
    }
    auto pattern = http::RoutePattern::parse(entry_.path);
    if (pattern) {
      pattern_ = std::move(*pattern);
    } else {
      const bool braces = entry_.path.find('{') != std::string::npos;
      section_.error(
          section_.line_of("path"),
          pattern.error() + (braces ? "; a parameter is written :room, not {room}" : ""));
    }
  }

  // False if nothing can be said about the keys that belong to the handler.
  bool read_handler() {
    std::string handler;
    if (!section_.read_string("handler", handler)) {
      if (!section_.has("handler")) {
        section_.error(section_.line(),
                       "has no handler; write handler = \"echo\", \"hub\" or \"static\"");
      }
      return false;
    }
    const std::string words[] = {"echo", "hub", "static"};
    constexpr Handler kHandlers[] = {Handler::kEcho, Handler::kHub, Handler::kStatic};
    const auto* const found = std::find(std::begin(words), std::end(words), handler);
    if (found != std::end(words)) {
      entry_.handler = kHandlers[found - std::begin(words)];
      return true;
    }
    const int line = section_.line_of("handler");
    if (handler == "proxy") {
      section_.error(line, not_available("handler = \"proxy\""));
    } else {
      section_.error(line, "handler must be " + alternatives(words) + ", not " +
                               in_quotes(handler) + did_you_mean(handler, words));
    }
    return false;
  }

  void read_static() {
    // As `App::files` reads it: the files of "/app" are everything below.
    if (pattern_ && !entry_.path.ends_with('*')) {
      auto below =
          http::RoutePattern::parse(entry_.path + (entry_.path.ends_with('/') ? "*" : "/*"));
      if (below) pattern_ = std::move(*below);
    }
    for (const std::string_view key : kWebSocketKeys) {
      section_.refuse(
          key, std::string(key) + " has no meaning on a static route; its files are for everybody");
    }
    std::string root;
    if (!section_.read_string("root", root)) {
      if (!section_.has("root")) {
        section_.error(section_.line(), "has no root; name the folder whose files it serves");
      }
      return;
    }
    entry_.root = reading_.path(root);
    if (!reading_.files.is_folder(entry_.root)) {
      section_.error(section_.line_of("root"),
                     "root " + in_quotes(entry_.root) + " is not a folder that can be read");
    }
  }

  void read_web_socket() {
    section_.refuse("root", "root belongs to a route with handler = \"static\"");
    Route route{
        .auth = {.verifier = Verifier(std::vector<std::shared_ptr<const VerifierBackend>>{})}};
    auto credentials = read_credentials(section_, route.auth.from);
    read_access(section_, route);
    read_times_and_sizes(route);
    read_authority(route);
    if (credentials && !anonymous_) {
      authority_.credentials = *std::move(credentials);
      check_matrix(section_, reading_, authority_);
    }
    warn_of_shadowed(section_, authority_);
    if (!anonymous_) warn_of_long_logins(section_, authority_, route.auth.max_session);
    section_.read_choice(
        "reject", route.reject,
        {{"auto", Reject::kAuto}, {"http", Reject::kHttp}, {"close", Reject::kClose}});
    section_.read_choice("close_codes", route.close_codes,
                         {{"iana", CloseCodes::kIana}, {"44xx", CloseCodes::k44xx}});
    section_.read_choice(
        "slow_consumer", route.limits.slow_consumer,
        {{"close", SlowConsumer::kClose}, {"drop_oldest", SlowConsumer::kDropOldest}});
    section_.read_boolean("compression", route.compression);
    if (entry_.handler == Handler::kHub) {
      section_.read_duration("resume", route.resume, {0ms, 1h});
      read_permits(section_, reading_, pattern_ ? &*pattern_ : nullptr, route);
      if (!section_.has("permit")) {
        section_.warning(
            section_.line(),
            "has no [[route.permit]]: nobody may subscribe to or publish in any channel");
      }
    } else {
      section_.refuse("permit", "permit belongs to a route with handler = \"hub\"");
      section_.refuse("resume", "resume belongs to a route with handler = \"hub\"");
    }
    check_origins(route);
    entry_.route = std::move(route);
  }

  void read_times_and_sizes(Route& route) {
    Auth& auth = route.auth;
    RouteLimits& limits = route.limits;
    section_.read_duration("auth_timeout", auth.timeout, {1ms, 1h});
    section_.read_size("pre_auth_bytes", auth.pre_auth_bytes, {1_B, 1_MiB});
    section_.read_duration("refresh_lead", auth.refresh_lead, {0ms, kDay});
    section_.read_duration("max_session", auth.max_session, {1ms, kDurationMax});
    section_.read_size("message_bytes", limits.message_bytes, {1_B, 1024_MiB});
    section_.read_integer("messages_per_second", limits.messages_per_second, {0, 1'000'000});
    section_.read_size("send_queue_bytes", limits.send_queue_bytes, {1_B, 1024_MiB});
    section_.read_duration("ping_interval", limits.ping_interval, {1ms, kDay});
    section_.read_duration("idle_timeout", limits.idle_timeout, {1s, 7 * kDay});
    section_.read_integer("connections_per_subject", limits.connections_per_subject, {0, 1'000'000});
    section_.read_choice("when_full", limits.when_full,
                         {{"evict_oldest", WhenFull::kEvictOldest}, {"reject", WhenFull::kReject}});
  }

  // Verifiers, or the word that says there are none.
  void read_authority(Route& route) {
    section_.read_boolean("insecure_anonymous", anonymous_);
    const auto names = section_.read_texts("verifiers");
    const bool named = names && !names->empty();
    if (names) {
      for (const PlacedText& name : *names) named_.insert(name.value);
    }
    if (named) find_verifiers(*names);
    const PlacedVerifier* const everybody = find_anonymous();
    if (anonymous_) {
      // A verifier of that type says the same once more; any other is a contradiction.
      check_anonymous(named && (everybody == nullptr || names->size() > 1));
      route.auth.verifier = sallyport::insecure_anonymous();
      return;
    }
    if (everybody != nullptr) {
      section_.error(everybody->line, "verifier " + in_quotes(everybody->entry->name) +
                                          " lets everybody in; if that is meant, write "
                                          "insecure_anonymous = true and list no other");
      authority_ = {.complete = false};
    } else if (!named && (names || !section_.has("verifiers"))) {
      section_.error(
          section_.line(),
          "has no verifier; list one under verifiers, or write insecure_anonymous = true");
    }
    std::vector<Verifier> chosen;
    for (const PlacedVerifier& one : authority_.verifiers) chosen.push_back(one.entry->verifier);
    route.auth.verifier = any_of(chosen);
  }

  void check_anonymous(bool contradicted) {
    const int line = section_.line_of("insecure_anonymous");
    if (contradicted) {
      section_.error(line,
                     "insecure_anonymous next to verifiers: whoever fails these would get in "
                     "without; keep one");
    }
    for (const char* const key : {"scopes", "claims"}) {
      if (!section_.has(key)) continue;
      section_.error(section_.line_of(key),
                     std::string(key) +
                         " on a route with insecure_anonymous = true: nobody has any there, so "
                         "nobody could connect");
    }
    if (section_.has("credentials")) {
      section_.error(section_.line_of("credentials"),
                     "credentials on a route with insecure_anonymous = true: nobody is asked for "
                     "one there; leave it out");
    }
    section_.warning(line, "insecure_anonymous: everybody may connect");
  }

  [[nodiscard]] const PlacedVerifier* find_anonymous() const {
    const auto found = std::find_if(
        authority_.verifiers.begin(), authority_.verifiers.end(),
        [](const PlacedVerifier& one) { return one.entry->type == VerifierType::kAnonymous; });
    return found == authority_.verifiers.end() ? nullptr : &*found;
  }

  void find_verifiers(const std::vector<PlacedText>& names) {
    std::vector<std::string_view> seen;
    for (const PlacedText& name : names) {
      if (std::find(seen.begin(), seen.end(), name.value) != seen.end()) {
        section_.error(name.line, "verifiers names " + in_quotes(name.value) + " twice");
        continue;
      }
      seen.push_back(name.value);
      if (std::find(defined_.begin(), defined_.end(), name.value) == defined_.end() &&
          !reading_.unnamed_verifier) {
        std::string hint = did_you_mean(name.value, defined_);
        if (hint.empty()) hint = "; define it as [verifier." + name.value + "]";
        section_.error(name.line, "verifier " + in_quotes(name.value) + " is not defined" + hint);
      }
      const auto entry =
          std::find_if(config_.verifiers.begin(), config_.verifiers.end(),
                       [&](const VerifierEntry& verifier) { return verifier.name == name.value; });
      if (entry == config_.verifiers.end()) {
        authority_.complete = false;  // it does not exist, or is at fault itself
      } else {
        authority_.verifiers.push_back({.entry = &*entry, .line = name.line});
      }
    }
  }

  // What a browser sends without being told to, on behalf of whichever page has asked; empty if
  // there is no such thing here.
  [[nodiscard]] std::string ambient(const Route& route) const {
    if (route.auth.from.contains(CredentialKind::kCookie)) return "a cookie";
    if (route.auth.from.contains(CredentialKind::kCertificate)) return "a client certificate";
    for (const PlacedVerifier& verifier : authority_.verifiers) {
      const std::vector<std::string>& fields = verifier.entry->forward;
      if (std::find(fields.begin(), fields.end(), "cookie") != fields.end()) {
        return "verifier " + in_quotes(verifier.entry->name) + ", which is shown the cookies";
      }
    }
    return {};
  }

  void check_origins(const Route& route) {
    const bool cookie = route.auth.from.contains(CredentialKind::kCookie);
    const int credentials = section_.line_of("credentials");
    if (route.auth.from.contains(CredentialKind::kInsecureQuery)) {
      section_.warning(
          credentials,
          "insecure_query: tokens in the URL end up in access logs, histories and Referer headers");
    }
    if (route.origins.kind == Origins::Kind::kInsecureAny) {
      const int line = section_.line_of("origins");
      const std::string with = ambient(route);
      section_.warning(line, with.empty() ? "insecure_any: pages of any site may open a socket"
                                          : "insecure_any with " + with +
                                                ": any page that a user visits can open a "
                                                "socket in that user's name");
    }
    const bool same_is_known = !config_.app.public_url.empty() || !reading_.off_loopback;
    if (route.origins.kind != Origins::Kind::kSame || same_is_known) return;
    if (cookie) {
      section_.error(
          credentials,
          "a cookie demands a check of Origin, and origins = \"same\" means nothing here: write "
          "public_url under [server], or list the origins");
    } else {
      section_.warning(
          section_.line_of("origins"),
          "origins = \"same\" refuses every browser that comes over a listener off loopback: write "
          "public_url under [server], or list the origins");
    }
  }

  Section& section_;
  Reading& reading_;
  const std::vector<std::string>& defined_;
  Config& config_;
  std::set<std::string>& named_;  // the verifiers that some route names
  RouteEntry entry_;
  RouteAuthority authority_;
  bool anonymous_ = false;
  std::optional<http::RoutePattern> pattern_;
};

// Likely a misspelling, or what is left of a route that has gone.
void warn_of_unused_verifiers(const Section& root, Reading& reading, const Config& config,
                              const std::set<std::string>& named) {
  if (!root.has("route")) return;  // nobody is asked anything, and that is said
  for (const VerifierEntry& verifier : config.verifiers) {
    if (named.contains(verifier.name)) continue;
    reading.findings.warning(verifier.line, "verifier " + verifier.name + ": no route names it");
  }
}

std::string name_of(const Table& table) {
  const Entry* const path = table.find("path");
  const auto* const text = path == nullptr ? nullptr : std::get_if<std::string>(&path->node.value);
  return text == nullptr || text->empty() ? "route" : "route " + *text;
}

}  // namespace

void read_routes(Section& root, Reading& reading, const std::vector<std::string>& verifiers,
                 Config& config) {
  struct Seen {
    http::RoutePattern pattern;
    std::string path;
    int line;
    bool plain;
  };
  std::vector<Seen> seen;
  std::set<std::string> named;
  for (const Node* const node : root.read_tables("route", "[[route]]")) {
    const Table& table = std::get<Table>(node->value);
    Section section(table, node->line, name_of(table), reading.findings);
    auto [entry, pattern] = RouteReader(section, reading, verifiers, config, named).read();
    if (pattern) {
      const bool plain = entry.handler == Handler::kStatic;
      const int line = section.line_of("path");
      // One path may have a WebSocket route and a static one; two of the same kind match the same
      // requests.
      const auto other = std::find_if(seen.begin(), seen.end(), [&](const Seen& candidate) {
        return candidate.plain == plain && candidate.pattern == *pattern;
      });
      if (other != seen.end()) {
        section.error(line, "matches the same paths as the route " + other->path + " in line " +
                                std::to_string(other->line));
      }
      seen.push_back({std::move(*pattern), entry.path, line, plain});
    }
    config.routes.push_back(std::move(entry));
  }
  root.refuse("permit",
              "permit belongs to a route; write [[route.permit]] below the [[route]] it is for");
  warn_of_unused_verifiers(root, reading, config, named);
  // Of [[routes]] it is said that it is misspelt.
  if (!root.has("route") && !root.has("routes")) {
    root.warning(1, "has no [[route]]: every request would be answered with 404");
  }
}

}  // namespace sallyport::config
