#include "feature/admin/requests.h"

#include <algorithm>
#include <array>
#include <boost/json/value.hpp>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <span>
#include <utility>

#include "core/auth/inband.h"
#include "core/base/json.h"
#include "core/http/grammar.h"
#include "core/http/query.h"

namespace sallyport::admin {
namespace {

namespace json = boost::json;
using std::chrono::milliseconds;

constexpr std::size_t kDepth = 64;                 // of a publication's data
constexpr double kSecondsMax = 253'402'300'799.0;  // the end of the year 9999
constexpr milliseconds kKeepMax = std::chrono::days(3650);

std::unexpected<std::string> fault(std::string text) {
  return std::unexpected(std::move(text));
}

std::string_view describe(base::JsonError error) {
  switch (error) {
    case base::JsonError::kSyntax:
      return "the body is not JSON";
    case base::JsonError::kTooLarge:
      return "the body is too large";
    case base::JsonError::kTooDeep:
      return "the body is nested too deeply";
    case base::JsonError::kDuplicateMember:
      return "the body names a member twice";
    case base::JsonError::kNumberRange:
      return "the body has a number out of range";
  }
  return "the body is not JSON";
}

std::string in_a_row(std::span<const std::string_view> names) {
  std::string text;
  for (const std::string_view name : names) text.append(text.empty() ? "" : ", ").append(name);
  return text;
}

std::expected<json::value, std::string> parse_object(std::string_view body,
                                                     std::span<const std::string_view> members) {
  auto value = base::parse_json(body, {.bytes = kBodyBytesMax, .depth = kDepth});
  if (!value) return fault(std::string(describe(value.error())));
  if (!value->is_object()) return fault("the body must be a JSON object");
  for (const auto& member : value->get_object()) {
    const std::string_view name(member.key().data(), member.key().size());
    if (std::find(members.begin(), members.end(), name) == members.end()) {
      return fault("the body has a member that is none of " + in_a_row(members));
    }
  }
  return *std::move(value);
}

std::expected<std::optional<std::string>, std::string> text_member(const json::object& object,
                                                                   std::string_view name) {
  const json::value* const member = object.if_contains(name);
  if (member == nullptr) return std::nullopt;
  if (!member->is_string()) return fault(std::string(name) + " must be a string");
  const std::string_view text = member->get_string();
  // An empty one is a variable that was never set, and would mean nobody.
  if (text.empty()) return fault(std::string(name) + " must not be empty");
  return std::string(text);
}

std::expected<WallTime, std::string> moment(const json::value& value) {
  if (!value.is_number()) return fault("issued_before must be a number: Unix time in seconds");
  const double seconds = value.to_number<double>();
  if (seconds < 0) return fault("issued_before must not be negative");
  if (seconds > kSecondsMax) return fault("issued_before is in seconds, and lies behind the year 9999");
  // Upwards: what is issued in the same millisecond is rather ended than kept.
  return WallTime(milliseconds(static_cast<std::int64_t>(std::ceil(seconds * 1000))));
}

// "30d": as the configuration spells it.
std::expected<milliseconds, std::string> parse_keep(std::string_view text) {
  constexpr std::array<std::pair<std::string_view, std::int64_t>, 5> kUnits{
      {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}}};
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view unit = text.substr(static_cast<std::size_t>(end - text.data()));
  const auto known = std::ranges::find(kUnits, unit, &std::pair<std::string_view, std::int64_t>::first);
  if (error != std::errc() || text.front() == '-' || known == kUnits.end()) {
    return fault("keep must be a duration such as \"30d\" (ms, s, m, h or d)");
  }
  if (number == 0 || number > kKeepMax.count() / known->second) {
    return fault("keep must be longer than nothing and at most ten years");
  }
  return milliseconds(number * known->second);
}

std::expected<std::size_t, std::string> parse_limit(std::string_view text) {
  std::size_t limit = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), limit);
  if (error != std::errc() || end != text.data() + text.size() || limit == 0 ||
      limit > server::Control::kPageMax) {
    return fault("limit must be a number from 1 to " + std::to_string(server::Control::kPageMax));
  }
  return limit;
}

}  // namespace

std::expected<RevokeRequest, std::string> parse_revocation(std::string_view body) {
  constexpr std::array<std::string_view, 7> kMembers{"subject",       "session", "token_id", "issuer",
                                                     "issued_before", "reason",  "keep"};
  const auto value = parse_object(body, kMembers);
  if (!value) return fault(value.error());
  const json::object& object = value->get_object();
  RevokeRequest request;
  Selector& selector = request.selector;
  const std::array<std::pair<std::string_view, std::optional<std::string>*>, 4> texts{
      {{"subject", &selector.subject},
       {"session", &selector.session},
       {"token_id", &selector.token_id},
       {"issuer", &selector.issuer}}};
  for (const auto& [name, target] : texts) {
    auto text = text_member(object, name);
    if (!text) return fault(text.error());
    *target = std::move(*text);
  }
  if (const json::value* const issued_before = object.if_contains("issued_before")) {
    const auto time = moment(*issued_before);
    if (!time) return fault(time.error());
    selector.issued_before = *time;
  }
  if (selector == Selector{}) {
    return fault("name at least one of subject, session, token_id, issuer and issued_before");
  }
  const auto reason = text_member(object, "reason");
  if (!reason) return fault(reason.error());
  if (*reason && **reason != "token_revoked" && **reason != "logged_out") {
    return fault("reason must be \"token_revoked\" or \"logged_out\"");
  }
  if (*reason == "logged_out") request.reason = Failure::kLoggedOut;
  const auto keep = text_member(object, "keep");
  if (!keep) return fault(keep.error());
  if (*keep) {
    const auto duration = parse_keep(**keep);
    if (!duration) return fault(duration.error());
    request.keep = *duration;
  }
  return request;
}

std::expected<Publish, std::string> parse_publish(std::string_view body) {
  constexpr std::array<std::string_view, 2> kMembers{"channel", "data"};
  const auto value = parse_object(body, kMembers);
  if (!value) return fault(value.error());
  const json::object& object = value->get_object();
  const auto channel = text_member(object, "channel");
  if (!channel) return fault(channel.error());
  if (!*channel) return fault("channel is missing");
  if (!object.contains("data")) return fault("data is missing; null is possible");
  // A publication like a client's: the same code takes the data out of it, byte for byte.
  auto message = auth::parse_control("{\"type\":\"publish\"," + std::string(body.substr(body.find('{') + 1)));
  if (!message) return fault("the body is not JSON");
  return Publish{.channel = std::move(message->channel), .data = std::move(message->data)};
}

std::expected<server::ConnectionQuery, std::string> parse_connection_query(std::string_view query) {
  constexpr std::array<std::string_view, 4> kNames{"subject", "route", "limit", "cursor"};
  for (std::string_view rest = query; !rest.empty();) {
    const std::string_view pair = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(pair.size() + 1, rest.size()));
    if (pair.empty()) continue;
    const auto name = http::percent_decode(pair.substr(0, pair.find('=')), http::Plus::kIsSpace);
    if (!name || std::find(kNames.begin(), kNames.end(), *name) == kNames.end()) {
      return fault("the query has a parameter that is none of " + in_a_row(kNames));
    }
  }
  std::array<std::optional<std::string>, kNames.size()> values;
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    auto value = http::find_query_parameter(query, kNames[i]);
    if (!value) {
      const bool twice = value.error() == http::QueryError::kDuplicate;
      return fault(std::string(kNames[i]) + (twice ? " is given twice" : " is not well encoded"));
    }
    // An empty field of a form is one that was not filled in.
    if (*value && !(*value)->empty()) values[i] = std::move(*value);
  }
  server::ConnectionQuery result;
  result.subject = std::move(values[0]);
  result.route = std::move(values[1]);
  if (values[2]) {
    const auto limit = parse_limit(*values[2]);
    if (!limit) return fault(limit.error());
    result.limit = *limit;
  }
  if (values[3]) result.cursor = std::move(*values[3]);
  return result;
}

}  // namespace sallyport::admin
