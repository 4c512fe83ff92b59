#include "feature/admin/answers.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/auth/failure.h"
#include "core/http/answer.h"
#include "core/http/grammar.h"

namespace sallyport::admin {
namespace {

// 1700000000, or 1700000000.25.
std::string seconds(WallTime time) {
  const std::int64_t ms = time.time_since_epoch().count();
  std::string text = std::to_string(ms / 1000);
  if (ms < 0 || ms % 1000 == 0) return text;
  std::string fraction = std::to_string(1000 + ms % 1000).substr(1);
  while (fraction.ends_with('0')) fraction.pop_back();
  return text + "." + fraction;
}

// Builds an object member by member; names are literals of this file.
class Object {
 public:
  Object& raw(std::string_view name, std::string_view json) {
    text_.append(text_.size() == 1 ? "\"" : ",\"").append(name).append("\":").append(json);
    return *this;
  }
  // Verified claims are UTF-8; should anything else come this way, the answer stays one that can be parsed.
  Object& text(std::string_view name, std::string_view value) {
    return raw(name, http::is_utf8(value) ? http::json_string(value) : "\"?\"");
  }
  Object& text_or_null(std::string_view name, std::string_view value) {
    return value.empty() ? raw(name, "null") : text(name, value);
  }
  Object& number(std::string_view name, std::uint64_t value) { return raw(name, std::to_string(value)); }
  Object& time(std::string_view name, const std::optional<WallTime>& value) {
    return raw(name, value ? seconds(*value) : "null");
  }
  [[nodiscard]] std::string take() { return std::move(text_.append("}")); }

 private:
  std::string text_ = "{";
};

template <typename T, typename Write>
std::string list(const std::vector<T>& items, const Write& write) {
  std::string text = "[";
  for (const T& item : items) text.append(text.size() == 1 ? "" : ",").append(write(item));
  return text.append("]");
}

std::string connection_json(const server::ConnectionInfo& info) {
  return Object()
      .text("id", info.id)
      .text("subject", info.subject)
      .text("issuer", info.issuer)
      .text_or_null("session", info.session)
      .text("route", info.route)
      .text("address", info.address)
      .time("opened_at", info.opened_at)
      .time("expires_at", info.expires_at)
      .text("verifier", info.verifier)
      .text("credential", info.credential)
      .text("node", info.node)
      .take();
}

// What the selector sets, and nothing of what it does not.
std::string revocation_json(const Revocation& revocation) {
  const Selector& selector = revocation.selector;
  Object object;
  object.number("id", revocation.id);
  const auto text = [&](std::string_view name, const std::optional<std::string>& value) {
    if (value) object.text(name, *value);
  };
  text("subject", selector.subject);
  text("session", selector.session);
  text("token_id", selector.token_id);
  text("issuer", selector.issuer);
  if (selector.issued_before) object.time("issued_before", selector.issued_before);
  return object.text("reason", auth::row(revocation.reason).close_reason)
      .time("created", revocation.created)
      .time("until", revocation.until)
      .take();
}

}  // namespace

std::string connections_json(const server::ConnectionPage& page) {
  return Object()
      .raw("connections", list(page.connections, connection_json))
      .text_or_null("cursor", page.cursor)
      .take();
}

std::string revocations_json(const std::vector<Revocation>& revocations) {
  return Object().raw("revocations", list(revocations, revocation_json)).take();
}

std::string revoked_json(const RevokeResult& result) {
  const auto node = [](const RevokeResult::Node& one) {
    return Object().text("node", one.node).raw("applied_ms", std::to_string(one.applied.count())).take();
  };
  return Object()
      .number("id", result.id)
      .number("closed", result.closed)
      .raw("nodes", list(result.nodes, node))
      .take();
}

std::string channels_json(const std::vector<server::ChannelInfo>& channels) {
  const auto channel = [](const server::ChannelInfo& one) {
    return Object().text("channel", one.channel).number("subscribers", one.subscribers).take();
  };
  return Object().raw("channels", list(channels, channel)).take();
}

std::string count_json(std::string_view name, std::size_t count) {
  return Object().number(name, count).take();
}

}  // namespace sallyport::admin
