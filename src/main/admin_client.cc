#include "main/admin_client.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json/object.hpp>
#include <chrono>
#include <exception>
#include <optional>
#include <stdexcept>

#include "core/base/json.h"
#include "main/status.h"
#include "server/keys.h"

namespace sallyport::main {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;

constexpr std::size_t kTokenBytesMax = 4096;
// The list of a million revocations is long.
constexpr std::size_t kAnswerBytesMax = std::size_t{512} * 1024 * 1024;
constexpr std::chrono::milliseconds kPatience{30'000};
constexpr std::size_t kDepth = 64;

std::expected<base::Secret, std::string> read_token(const std::string& file) {
  std::string text;
  try {
    text = read_file(file, kTokenBytesMax);
  } catch (const std::runtime_error& error) {
    return std::unexpected(error.what());
  }
  std::string_view token = text;
  while (token.ends_with('\n') || token.ends_with('\r')) token.remove_suffix(1);
  const bool good =
      !token.empty() && std::all_of(token.begin(), token.end(), [](char c) { return c > ' ' && c < '\x7f'; });
  base::Secret secret(good ? token : std::string_view());
  base::wipe(text.data(), text.size());
  if (!good) return std::unexpected(file + ": is not an admin token, one line of visible ASCII characters");
  return secret;
}

// The member of a problem (RFC 9457), or nothing.
std::string_view text_of(const json::value& problem, std::string_view name) {
  const json::object* const object = problem.if_object();
  const json::value* const member = object == nullptr ? nullptr : object->if_contains(name);
  const json::string* const text = member == nullptr ? nullptr : member->if_string();
  return text == nullptr ? std::string_view() : std::string_view(text->data(), text->size());
}

std::expected<json::value, base::JsonError> parse(const io::HttpReply& reply) {
  return base::parse_json(reply.body, {.bytes = kAnswerBytesMax, .depth = kDepth});
}

std::string advice_of(const io::HttpFailure& failure) {
  switch (failure.code) {
    case io::HttpError::kConnect:
    case io::HttpError::kResolve:
      return "; does the server run, and is this the address of its [admin] listen?";
    case io::HttpError::kTls:
    case io::HttpError::kTimeout:
    case io::HttpError::kTooLarge:
    case io::HttpError::kBadReply:
    case io::HttpError::kBusy:
    case io::HttpError::kBadRequest:
      break;
  }
  return {};
}

}  // namespace

std::expected<AdminClient, AdminFault> AdminClient::open(const AdminAccess& access) {
  auto url = io::HttpUrl::parse(access.url);
  if (!url) return std::unexpected(AdminFault{kUsage, "--admin: " + url.error()});
  if (url->target.find('?') != std::string::npos) {
    return std::unexpected(AdminFault{kUsage, "--admin: the URL has a query; write it without one"});
  }
  while (url->target.ends_with('/')) url->target.pop_back();
  auto token = read_token(access.token_file);
  if (!token) return std::unexpected(AdminFault{kUsage, "--admin-token-file: " + token.error()});
  return AdminClient(std::move(*url), access.token_file, std::move(*token));
}

std::expected<json::value, AdminFault> AdminClient::ask(const std::string& method, const std::string& path,
                                                        std::string_view body) const {
  io::HttpRequest request{.method = method, .url = url_};
  request.url.target += path;
  std::string authorization = "Bearer ";
  authorization.reserve(authorization.size() + token_.size());  // no copy of the token is left behind
  authorization += token_.reveal();
  request.fields.emplace_back("Authorization", base::Secret(authorization));
  base::wipe(authorization.data(), authorization.size());
  if (!body.empty()) {
    request.fields.emplace_back("Content-Type", base::Secret("application/json"));
    request.body = base::Secret(body);
  }
  asio::io_context context(1);
  io::HttpClient client(context, {.timeout = kPatience, .body_bytes = kAnswerBytesMax, .idle = {}});
  std::optional<std::expected<io::HttpReply, io::HttpFailure>> result;
  asio::co_spawn(
      context, client.send(std::move(request)),
      [&result](const std::exception_ptr& thrown, std::expected<io::HttpReply, io::HttpFailure> reply) {
        if (thrown == nullptr) result = std::move(reply);
      });
  context.run();
  if (!result) return std::unexpected(AdminFault{kFailed, url_.origin() + " could not be asked"});
  if (!*result) {
    const io::HttpFailure& failure = result->error();
    return std::unexpected(AdminFault{kFailed, failure.detail + advice_of(failure)});
  }
  const io::HttpReply& reply = **result;
  if (reply.status != 200) return std::unexpected(refused(reply));
  auto value = parse(reply);
  if (!value || !value->is_object()) {
    return std::unexpected(AdminFault{kFailed, url_.origin() +
                                                   " does not answer like the admin API; is --admin the "
                                                   "address of [admin] listen?"});
  }
  return std::move(*value);
}

AdminFault AdminClient::refused(const io::HttpReply& reply) const {
  const auto problem = parse(reply);
  const std::string said(problem ? text_of(*problem, "detail") : std::string_view());
  const bool is_ours = problem && !text_of(*problem, "reason").empty();
  const std::string who = url_.origin();
  if (reply.status == 401) {
    return {kFailed, who + " does not accept the token in " + token_file_ +
                         "; it must be the one that [admin] token_file of the server names"};
  }
  if (reply.status == 429) {
    const std::string_view wait = reply.field("retry-after");
    return {kFailed, who + " has been shown too many wrong tokens" +
                         (wait.empty() ? std::string() : "; try again in " + std::string(wait) + " s") +
                         ", with the one that [admin] token_file of the server names"};
  }
  if (!is_ours) {
    return {kFailed,
            who + " answers " + std::to_string(reply.status) + "; is --admin the address of [admin] listen?"};
  }
  // A request that cannot be meant is like an option that cannot be meant.
  const int status = reply.status == 400 ? kUsage : kFailed;
  if (!said.empty()) return {status, said};
  return {status,
          who + " answers " + std::to_string(reply.status) + " " + std::string(text_of(*problem, "reason"))};
}

std::string query_of(const std::vector<std::pair<std::string_view, std::string>>& parameters) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  constexpr std::string_view kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/";
  std::string query;
  for (const auto& [name, value] : parameters) {
    if (value.empty()) continue;
    query.append(query.empty() ? "?" : "&").append(name).append("=");
    for (const char c : value) {
      if (kPlain.find(c) != std::string_view::npos) {
        query += c;
        continue;
      }
      const auto byte = static_cast<unsigned char>(c);
      query += '%';
      query += kHex[byte >> 4];
      query += kHex[byte & 15];
    }
  }
  return query;
}

}  // namespace sallyport::main
