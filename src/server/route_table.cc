#include "server/route_table.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace sallyport::server {
namespace {

[[noreturn]] void fault(const std::string& path, const std::string& what) {
  throw std::invalid_argument("route " + path + ": " + what);
}

http::RoutePattern parse_pattern(const std::string& path) {
  auto pattern = http::RoutePattern::parse(path);
  if (!pattern) throw std::invalid_argument("route \"" + path + "\": " + pattern.error());
  return std::move(*pattern);
}

http::OriginPolicy compile_origins(const std::string& path, const Origins& origins,
                                   const AppOptions& options) {
  switch (origins.kind) {
    case Origins::Kind::kInsecureAny: return http::OriginPolicy::insecure_any();
    case Origins::Kind::kList: {
      auto policy = http::OriginPolicy::list(origins.list);
      if (!policy) fault(path, "origins: " + policy.error());
      return std::move(*policy);
    }
    case Origins::Kind::kSame: break;
  }
  if (options.public_url.empty()) return http::OriginPolicy::same({});
  auto origin = http::Origin::parse(options.public_url);
  if (!origin) {
    fault(path, "public_url \"" + options.public_url + "\": " + std::string(describe(origin.error())));
  }
  return http::OriginPolicy::same({std::move(*origin)});
}

http::AddressRules compile_addresses(const std::string& path, const Route& route) {
  http::AddressRules rules;
  const auto parse = [&](const std::vector<std::string>& entries, const char* key) {
    auto blocks = http::parse_cidr_list(entries);
    if (!blocks) fault(path, std::string(key) + ": " + blocks.error());
    return std::move(*blocks);
  };
  if (route.allow_addresses) rules.allow = parse(*route.allow_addresses, "allow_addresses");
  rules.deny = parse(route.deny_addresses, "deny_addresses");
  return rules;
}

auth::Policy compile_policy(const Route& route, const AppOptions& options, bool anonymous) {
  const Auth& auth = route.auth;
  base::Milliseconds verify{0};
  for (const auto& backend : auth.verifier.backends()) verify += backend->deadline();
  return {.first_message_allowed = auth.from.contains(CredentialKind::kFirstMessage) && !anonymous,
          .anonymous_allowed = anonymous,
          .handshake_timeout = options.limits.handshake_timeout,
          .auth_timeout = auth.timeout,
          .verify_timeout = verify,
          .refresh_lead = auth.refresh_lead,
          .max_session = auth.max_session,
          // A silent peer is asked before it is given up, also where the idle timeout is the shorter of the two.
          .ping_interval = std::max(base::Milliseconds(1),
                                    std::min(route.limits.ping_interval, route.limits.idle_timeout / 2)),
          .idle_timeout = route.limits.idle_timeout};
}

// Less than a peer may need to answer a ping; and a server that asks that often does little else.
constexpr base::Milliseconds kIdleTimeoutMin{1000};

void check_limits(const std::string& path, const Route& route) {
  if (route.auth.verifier.backends().empty()) fault(path, "has no verifier");
  if (route.limits.message_bytes == 0) fault(path, "message_bytes must be at least 1");
  if (route.auth.pre_auth_bytes == 0) fault(path, "pre_auth_bytes must be at least 1");
  const auto positive = [&](base::Milliseconds value, const char* name) {
    if (value <= base::Milliseconds(0)) fault(path, std::string(name) + " must be more than zero");
  };
  positive(route.auth.timeout, "auth_timeout");
  positive(route.auth.max_session, "max_session");
  positive(route.limits.ping_interval, "ping_interval");
  if (route.limits.idle_timeout < kIdleTimeoutMin) fault(path, "idle_timeout must be at least one second");
}

}  // namespace

void RouteTable::add_ws(std::string path, Route route, bool hub, const AppOptions& options) {
  check_limits(path, route);
  http::RoutePattern pattern = parse_pattern(path);
  auto compiled = std::make_unique<WsRoute>(WsRoute{.path = std::move(path), .spec = std::move(route)});
  WsRoute& ws = *compiled;
  const auto& backends = ws.spec.auth.verifier.backends();
  ws.hub = hub;
  ws.anonymous = backends.front()->anonymous();
  if (ws.anonymous && backends.size() > 1) {
    fault(ws.path, "insecure_anonymous next to another verifier: whoever fails the one would pass the other");
  }
  if (!ws.anonymous && ws.spec.auth.from.empty()) fault(ws.path, "accepts no credential");
  for (const auto& backend : backends) {
    for (const std::string& field : backend->wanted_fields()) {
      if (std::find(ws.wanted_fields.begin(), ws.wanted_fields.end(), field) == ws.wanted_fields.end()) {
        ws.wanted_fields.push_back(field);
      }
    }
  }
  ws.policy = compile_policy(ws.spec, options, ws.anonymous);
  ws.origins = compile_origins(ws.path, ws.spec.origins, options);
  ws.addresses = compile_addresses(ws.path, ws.spec);
  ws.requirements = {ws.spec.scopes, ws.spec.claims};
  ws.close_profile = ws.spec.close_codes == CloseCodes::kIana ? auth::CloseProfile::kIana
                                                              : auth::CloseProfile::k44xx;
  for (const Permit& permit : ws.spec.permit) {
    auto channel = auth::ChannelPattern::parse(permit.channel);
    if (!channel) fault(ws.path, "permit: " + channel.error());
    ws.permits.push_back({.subscribe = permit.subscribe,
                          .publish = permit.publish,
                          .channel = std::move(*channel),
                          .scopes = permit.scopes});
  }
  const bool asks_for_claims =
      !ws.requirements.claims.empty() || ws.spec.authorize ||
      std::any_of(ws.permits.begin(), ws.permits.end(),
                  [](const auth::ChannelPermit& permit) { return permit.channel.needs_claims(); });
  ws.drops_claims = !ws.spec.keep_claims && !asks_for_claims;
  if (!hub && !ws.permits.empty()) fault(ws.path, "permits mean something on hub routes only");
  ws.index = static_cast<std::uint32_t>(ws_.size());
  ws_.push_back(std::move(compiled));
  add_entry(std::move(pattern), ws_.back().get(), nullptr);
}

void RouteTable::add_http(std::string path, PlainHandler plain, GetHandler asynchronous) {
  http::RoutePattern pattern = parse_pattern(path);
  http_.push_back(std::make_unique<HttpRoute>(HttpRoute{
      .path = std::move(path), .plain = std::move(plain), .asynchronous = std::move(asynchronous)}));
  add_entry(std::move(pattern), nullptr, http_.back().get());
}

void RouteTable::add_endpoint(std::string path, Endpoint endpoint, std::size_t body_bytes) {
  http::RoutePattern pattern = parse_pattern(path);
  const bool taken = std::any_of(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return entry.http != nullptr && entry.pattern == pattern;
  });
  if (taken) return;
  http_.push_back(std::make_unique<HttpRoute>(HttpRoute{.path = std::move(path),
                                                        .plain = {},
                                                        .asynchronous = {},
                                                        .endpoint = std::move(endpoint),
                                                        .body_bytes = body_bytes}));
  add_entry(std::move(pattern), nullptr, http_.back().get());
}

void RouteTable::add_middleware(std::string path, Middleware middleware) {
  std::optional<http::RoutePattern> pattern;
  if (!path.empty()) pattern = parse_pattern(path);
  middleware_.push_back({std::move(pattern), std::move(middleware)});
}

void RouteTable::add_entry(http::RoutePattern pattern, const WsRoute* ws, const HttpRoute* http) {
  const auto place = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return !std::is_lt(entry.pattern <=> pattern);
  });
  // One path may carry a WebSocket and a plain route; two of the same kind cannot both be meant.
  for (auto entry = place; entry != entries_.end() && entry->pattern == pattern; ++entry) {
    if ((entry->ws != nullptr) == (ws != nullptr)) {
      throw std::invalid_argument("route " + pattern.text() + ": is there twice (the other is " +
                                  entry->pattern.text() + ")");
    }
  }
  entries_.insert(place, Entry{std::move(pattern), ws, http});
}

void RouteTable::set_loopback_origins(const std::vector<http::Origin>& origins) {
  for (const auto& ws : ws_) {
    if (ws->spec.origins.kind == Origins::Kind::kSame) {
      ws->origins = http::OriginPolicy::same(origins);
    }
  }
}

const WsRoute* RouteTable::find_ws(std::string_view path) const noexcept {
  for (const auto& ws : ws_) {
    if (ws->path == path) return ws.get();
  }
  return nullptr;
}

void RouteTable::set_site_number(std::uint64_t number) {
  for (const auto& ws : ws_) ws->site_number = number;
}

RouteMatch RouteTable::match(std::string_view raw_path) const {
  RouteMatch match;
  const http::RoutePattern* ws_pattern = nullptr;
  for (const Entry& entry : entries_) {
    if ((entry.ws != nullptr ? match.ws != nullptr : match.http != nullptr)) continue;
    // A plain request on a WebSocket route's path is told to upgrade, not given what a wider plain
    // route (the files below "/", say) has there.
    if (entry.http != nullptr && ws_pattern != nullptr && entry.pattern != *ws_pattern) continue;
    auto params = entry.pattern.match(raw_path);
    if (!params) continue;
    if (entry.ws != nullptr) {
      match.ws = entry.ws;
      match.ws_params = std::move(*params);
      ws_pattern = &entry.pattern;
    } else {
      match.http = entry.http;
      match.http_params = std::move(*params);
    }
    if (match.ws != nullptr && match.http != nullptr) break;
  }
  return match;
}

std::vector<const Middleware*> RouteTable::middleware(std::string_view raw_path) const {
  std::vector<const Middleware*> chain;
  for (const MiddlewareEntry& entry : middleware_) {
    if (!entry.pattern || entry.pattern->match(raw_path)) chain.push_back(&entry.run);
  }
  return chain;
}

}  // namespace sallyport::server
