#include "feature/admin/api.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "core/auth/failure.h"
#include "core/http/grammar.h"
#include "core/http/origin.h"
#include "feature/admin/answers.h"
#include "feature/admin/console.h"
#include "feature/admin/metrics_text.h"
#include "feature/admin/problem.h"
#include "feature/admin/requests.h"
#include "server/events.h"
#include "server/static_files.h"

namespace sallyport::admin {
namespace {

constexpr std::size_t kIdBytesMax = 128;

const ConsoleFile* find_console_file(std::string_view path) {
  const std::string_view name = path == "/" ? "index.html" : path.substr(1);
  for (const ConsoleFile& file : console_files()) {
    if (file.name == name && (path == "/" || name != "index.html")) return &file;
  }
  return nullptr;
}

http::Answer wrong_method(std::string allowed) {
  return refusal(405, "method_not_allowed", {}, {{"Allow", std::move(allowed)}});
}

bool is_read(std::string_view method) {
  return method == "GET" || method == "HEAD";
}

http::Answer console_answer(const ConsoleFile& file) {
  return {.status = 200,
          .fields = {{"Content-Type", std::string(server::media_type(file.name))},
                     {"Content-Security-Policy", std::string(kConsolePolicy)},
                     {"Cross-Origin-Opener-Policy", "same-origin"}},
          .body = std::string(file.bytes)};
}

// A page of another site, which must not be able to use what it has guessed or been told: it is refused
// before the token is looked at. Under which name a page has reached us itself is its Host.
bool is_foreign_page(const http::Head& head) {
  const auto site = head.find("Sec-Fetch-Site");
  if (site && *site != "same-origin" && *site != "none") return true;
  const auto fields = head.find_all("Origin");
  if (fields.empty()) return false;
  const auto origin = http::Origin::parse(fields.front());
  if (fields.size() > 1 || !origin) return true;
  // In front of a tunnel or a proxy the page may be at https.
  for (const std::string_view scheme : {"http://", "https://"}) {
    const auto own = http::Origin::parse(std::string(scheme).append(head.host()));
    if (own && *own == *origin) return false;
  }
  return true;
}

// The token of "Bearer TOKEN"; nothing if it is something else.
std::optional<std::string_view> bearer(std::string_view value) {
  const std::size_t space = value.find(' ');
  if (space == std::string_view::npos || !http::equals_ignoring_case(value.substr(0, space), "Bearer")) {
    return std::nullopt;
  }
  return http::trim(value.substr(space));
}

http::Answer bad_request(std::string_view detail) {
  return refusal(400, "bad_request", detail);
}

http::Answer fault_answer(RevokeFault fault) {
  switch (fault) {
    case RevokeFault::kInvalid:
      return bad_request("the selector names nobody");
    case RevokeFault::kFull:
      return refusal(503, "unavailable", "too many revocations are in force; nothing was done");
    case RevokeFault::kNotDurable:
      return refusal(
          503, "not_durable",
          "it holds on this server but is not durable: the store could not be written, so that a restart "
          "would undo it");
    case RevokeFault::kReplayed:
    case RevokeFault::kStopped:
      break;
  }
  return refusal(503, "unavailable", "the server is stopping; nothing was done");
}

// Who was sent away, and that it was an administrator: what is looked for when somebody complains.
void log_revocation(const LogSink& log, const RevokeRequest& request,
                    const std::expected<RevokeResult, RevokeFault>& result) {
  server::Event event(log, result ? LogLevel::kInfo : LogLevel::kError, "admin.revoked");
  const Selector& selector = request.selector;
  event.with("subject", selector.subject.value_or(""))
      .with("session", selector.session.value_or(""))
      .with("token_id", selector.token_id.value_or(""))
      .with("issuer", selector.issuer.value_or(""))
      .with("reason", auth::row(request.reason).close_reason);
  if (result) {
    event.with("revocation", static_cast<std::int64_t>(result->id))
        .with("closed", static_cast<std::int64_t>(result->closed));
  } else {
    event.with("fault", describe(result.error()));
  }
}

}  // namespace

struct Api::Endpoint {
  std::string_view path;  // with a slash at its end: an id follows
  std::string_view method;
  Handler handler;

  [[nodiscard]] bool matches(std::string_view asked) const {
    if (!path.ends_with('/')) return asked == path;
    return asked.starts_with(path) && asked.size() > path.size() &&
           asked.find('/', path.size()) == asked.npos;
  }
};

std::span<const Api::Endpoint> Api::endpoints() {
  static constexpr std::array<Endpoint, 8> kTable{{
      {"/v1/connections", "GET", &Api::list_connections},
      {"/v1/connections/", "DELETE", &Api::close_connection},
      {"/v1/revocations", "GET", &Api::list_revocations},
      {"/v1/revocations", "POST", &Api::revoke},
      {"/v1/revocations/", "DELETE", &Api::lift},
      {"/v1/publish", "POST", &Api::publish},
      {"/v1/channels", "GET", &Api::list_channels},
      {"/metrics", "GET", &Api::metrics},
  }};
  return kTable;
}

// ---- Who is let in

bool Api::is_known_host(std::string_view host) const {
  if (http::host_is_loopback(host)) return true;
  const std::string name = http::lower_case(host);
  const std::string_view bare = std::string_view(name).substr(0, name.rfind(':'));
  return std::ranges::any_of(hosts_,
                             [&](const std::string& known) { return known == name || known == bare; });
}

std::optional<http::Answer> Api::admit(http::Head& head, base::MonoTime now) {
  if (!is_known_host(head.host())) {
    return refusal(421, "host_not_allowed", "this is not the address that the admin API is reached under");
  }
  if (const ConsoleFile* const file = find_console_file(head.raw_path())) {
    head.erase_field("Authorization");
    return is_read(head.method()) ? console_answer(*file) : wrong_method("GET, HEAD");
  }
  if (is_foreign_page(head)) {
    return refusal(403, "origin_not_allowed", "pages of other sites may not use the admin API");
  }
  auto refused = check_token(head, now);
  head.erase_field("Authorization");
  return refused;
}

std::optional<http::Answer> Api::check_token(http::Head& head, base::MonoTime now) {
  const auto fields = head.find_all("Authorization");
  if (fields.empty()) {
    return refusal(401, "missing_credentials", "send the admin token as Authorization: Bearer TOKEN",
                   {http::www_authenticate()});
  }
  if (fields.size() > 1) return bad_request("Authorization is there twice");
  const auto token = bearer(fields.front());
  if (!token) {
    return refusal(401, "invalid_token", "send the admin token as Authorization: Bearer TOKEN",
                   {http::www_authenticate()});
  }
  const std::string& fault = token_.refresh();
  if (fault != told_fault_ && !fault.empty()) {
    server::Event(log_, LogLevel::kError, "admin.token_unusable").with("detail", fault);
  }
  told_fault_ = fault;
  if (!fault.empty()) {
    return refusal(503, "unavailable", "the server cannot read its admin token; its log says why",
                   {http::retry_after(std::chrono::seconds(10))});
  }
  if (token_.accepts(*token)) return std::nullopt;
  if (!wrong_.allow(now)) {
    return refusal(429, "too_many_requests", "too many wrong tokens",
                   {http::retry_after(WrongTokens::kEvery)});
  }
  server::Event(log_, LogLevel::kWarn, "admin.refused").with("reason", "invalid_token");
  return refusal(401, "invalid_token", "this is not the admin token",
                 {http::www_authenticate("invalid_token")});
}

// ---- What is answered

awaitable<http::Answer> Api::answer(std::string method, std::string path, std::string query,
                                    std::string body) {
  std::string allowed;
  for (const Endpoint& endpoint : endpoints()) {
    if (!endpoint.matches(path)) continue;
    if (endpoint.method == method || (endpoint.method == "GET" && method == "HEAD")) {
      Call call{.id = {}, .query = std::move(query), .body = std::move(body)};
      if (endpoint.path.ends_with('/')) {
        const auto id =
            http::percent_decode(std::string_view(path).substr(endpoint.path.size()), http::Plus::kIsPlus);
        if (!id || id->size() > kIdBytesMax) co_return refusal(404, "not_found");
        call.id = *id;
      }
      co_return co_await (this->*endpoint.handler)(std::move(call));
    }
    allowed.append(allowed.empty() ? "" : ", ").append(endpoint.method);
    if (endpoint.method == "GET") allowed += ", HEAD";
  }
  if (allowed.empty()) co_return refusal(404, "not_found");
  co_return wrong_method(std::move(allowed));
}

awaitable<http::Answer> Api::list_connections(Call call) {
  auto query = parse_connection_query(call.query);
  if (!query) co_return bad_request(query.error());
  const auto page = co_await control_.connections(std::move(*query));
  if (!page) co_return bad_request("cursor is none of this server's");
  co_return json_answer(connections_json(*page));
}

awaitable<http::Answer> Api::close_connection(Call call) {
  const std::size_t closed = co_await control_.close(call.id);
  if (closed != 0) server::Event(log_, LogLevel::kInfo, "admin.closed").with("connection", call.id);
  co_return json_answer(count_json("closed", closed));
}

awaitable<http::Answer> Api::list_revocations(Call) {
  co_return json_answer(revocations_json(control_.revocations()));
}

awaitable<http::Answer> Api::revoke(Call call) {
  const auto request = parse_revocation(call.body);
  if (!request) co_return bad_request(request.error());
  const auto result = co_await control_.revoke(*request);
  log_revocation(log_, *request, result);
  if (!result) co_return fault_answer(result.error());
  co_return json_answer(revoked_json(*result));
}

awaitable<http::Answer> Api::lift(Call call) {
  std::uint64_t id = 0;
  const char* const end = call.id.data() + call.id.size();
  const auto [last, error] = std::from_chars(call.id.data(), end, id);
  if (error != std::errc() || last != end) co_return refusal(404, "not_found", "there is no such revocation");
  const auto lifted = co_await control_.lift(id);
  if (!lifted) co_return fault_answer(lifted.error());
  if (!*lifted) co_return refusal(404, "not_found", "there is no such revocation");
  server::Event(log_, LogLevel::kInfo, "admin.lifted").with("revocation", static_cast<std::int64_t>(id));
  co_return json_answer(count_json("lifted", 1));
}

awaitable<http::Answer> Api::publish(Call call) {
  auto publication = parse_publish(call.body);
  if (!publication) co_return bad_request(publication.error());
  const std::size_t subscribers =
      co_await control_.publish(std::move(publication->channel), std::move(publication->data));
  co_return json_answer(count_json("subscribers", subscribers));
}

awaitable<http::Answer> Api::list_channels(Call) {
  const auto channels = co_await control_.channels();
  co_return json_answer(channels_json(channels));
}

awaitable<http::Answer> Api::metrics(Call) {
  const auto snapshot = co_await control_.metrics();
  http::Answer answer{.status = 200, .body = metrics_text(snapshot)};
  answer.fields.push_back({"Content-Type", std::string(kMetricsType)});
  co_return answer;
}

}  // namespace sallyport::admin
