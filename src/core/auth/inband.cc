#include "core/auth/inband.h"

#include <array>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <algorithm>
#include <utility>

#include "core/base/json.h"

namespace sallyport::auth {
namespace {

constexpr std::size_t kIdBytesMax = 128;
constexpr std::size_t kNoByteLimit = SIZE_MAX;  // the codec has applied message_bytes
constexpr std::size_t kDepth = 64;              // of a publication's data

std::string_view skip_space(std::string_view text) {
  const std::size_t start = text.find_first_not_of(" \t\r\n");
  return start == std::string_view::npos ? std::string_view() : text.substr(start);
}

// Takes a JSON string literal off the front of `text`. Escapes are decoded by the real parser, so that
// no spelling of "type" or "auth" slips past.
std::optional<std::string> take_string(std::string_view& text) {
  if (text.empty() || text.front() != '"') return std::nullopt;
  constexpr std::size_t kLongest = 256;
  bool escaped = false;
  for (std::size_t i = 1; i < std::min(text.size(), kLongest); ++i) {
    if (text[i] == '\\') {
      escaped = true;
      ++i;
      continue;
    }
    if (text[i] != '"') continue;
    const std::string_view literal = text.substr(0, i + 1);
    text.remove_prefix(i + 1);
    if (!escaped) return std::string(literal.substr(1, literal.size() - 2));
    const auto value = base::parse_json(literal);
    if (!value || !value->is_string()) return std::nullopt;
    return std::string(std::string_view(value->get_string()));
  }
  return std::nullopt;
}

constexpr std::array<std::pair<std::string_view, ControlType>, 6> kTypes{{
    {"auth", ControlType::kAuth},
    {"refresh", ControlType::kRefresh},
    {"resume", ControlType::kResume},
    {"subscribe", ControlType::kSubscribe},
    {"unsubscribe", ControlType::kUnsubscribe},
    {"publish", ControlType::kPublish},
}};

std::optional<std::string> string_member(const boost::json::object& object, std::string_view name) {
  const boost::json::value* const member = object.if_contains(name);
  if (member == nullptr || !member->is_string()) return std::nullopt;
  return std::string(std::string_view(member->get_string()));
}

// The text of a member's value in an object that has been parsed already, so that numbers reach the
// subscribers as their publisher wrote them. Member names were checked for duplicates after unescaping.
std::string_view raw_member(std::string_view object, std::string_view name) {
  std::size_t depth = 0;
  std::size_t value = 0;   // where the value began, if it is the one asked for
  bool wanted = false;
  for (std::size_t i = 0; i < object.size(); ++i) {
    const char c = object[i];
    if (c == '"') {
      const std::size_t start = i;
      for (++i; object[i] != '"'; ++i) {
        if (object[i] == '\\') ++i;
      }
      if (depth != 1 || wanted) continue;
      const std::string_view after = skip_space(object.substr(i + 1));
      if (after.empty() || after.front() != ':') continue;
      std::string_view literal = object.substr(start, i + 1 - start);
      if (take_string(literal) == name) {
        wanted = true;
        value = static_cast<std::size_t>(after.data() - object.data()) + 1;
        i = value - 1;
      }
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if (wanted && depth == 1 && (c == ',' || c == '}')) {
      std::string_view text = skip_space(object.substr(value, i - value));
      return text.substr(0, text.find_last_not_of(" \t\r\n") + 1);
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return {};
}

std::string seconds_of(const std::optional<WallTime>& moment) {
  if (!moment) return "null";
  const auto seconds = std::chrono::floor<std::chrono::seconds>(*moment);
  return std::to_string(seconds.time_since_epoch().count());
}

std::string id_member(std::string_view id) {
  return id.empty() ? std::string() : ",\"id\":" + std::string(id);
}

}  // namespace

std::string json_quote(std::string_view text) {
  return boost::json::serialize(boost::json::string_view(text.data(), text.size()));
}

std::optional<std::string> control_type(std::string_view text) {
  text = skip_space(text);
  if (text.empty() || text.front() != '{') return std::nullopt;
  text = skip_space(text.substr(1));
  // Most messages of an application end here, at the price of two comparisons.
  if (!text.starts_with("\"type\"") && !text.starts_with("\"\\") && !text.starts_with("\"t")) {
    return std::nullopt;
  }
  if (take_string(text) != "type") return std::nullopt;
  text = skip_space(text);
  if (text.empty() || text.front() != ':') return std::nullopt;
  text = skip_space(text.substr(1));
  return take_string(text);
}

std::expected<ControlMessage, ControlError> parse_control(std::string_view text) {
  const auto value = base::parse_json(text, {.bytes = kNoByteLimit, .depth = kDepth});
  if (!value || !value->is_object()) return std::unexpected(ControlError{});
  const boost::json::object& object = value->get_object();

  ControlMessage message{};
  if (const boost::json::value* const id = object.if_contains("id")) {
    if (!id->is_string() && !id->is_number()) return std::unexpected(ControlError{});
    message.id = std::string(raw_member(text, "id"));
    if (message.id.size() > kIdBytesMax) return std::unexpected(ControlError{});
  }
  const auto fault = [&] { return std::unexpected(ControlError{message.id}); };

  if (object.empty() || object.begin()->key() != "type") return fault();
  const auto name = string_member(object, "type");
  if (!name) return fault();
  const auto known = std::find_if(kTypes.begin(), kTypes.end(),
                                  [&](const auto& entry) { return entry.first == *name; });
  if (known == kTypes.end()) return fault();
  message.type = known->second;

  const auto secret = [&](std::string_view member, base::Secret& out) {
    auto value_text = string_member(object, member);
    if (!value_text || value_text->empty()) return false;
    out = base::Secret(*value_text);
    base::wipe(value_text->data(), value_text->size());
    return true;
  };
  if (message.type == ControlType::kAuth || message.type == ControlType::kRefresh) {
    if (!secret("token", message.token)) return fault();
    if (message.type == ControlType::kRefresh) return message;
  }
  if (message.type == ControlType::kAuth || message.type == ControlType::kResume) {
    // A client that has none yet may say null.
    const boost::json::value* const resume = object.if_contains("resume");
    const bool none = message.type == ControlType::kAuth && (resume == nullptr || resume->is_null());
    if (none) return message;
    if (!secret("resume", message.resume)) return fault();
    if (const boost::json::value* const received = object.if_contains("received")) {
      if (!received->is_int64() || received->get_int64() < 0) return fault();
      message.received = static_cast<std::uint64_t>(received->get_int64());
    }
    return message;
  }
  auto channel = string_member(object, "channel");
  if (!channel) return fault();
  message.channel = std::move(*channel);
  if (message.type == ControlType::kPublish) {
    if (!object.contains("data")) return fault();
    message.data = std::string(raw_member(text, "data"));
  }
  return message;
}

std::string ready_message(std::string_view connection, const Principal& who, std::string_view resume) {
  std::string message = "{\"type\":\"ready\",\"connection\":" + json_quote(connection) +
                        ",\"subject\":" + json_quote(who.subject) +
                        ",\"expires_at\":" + seconds_of(who.expires_at);
  if (!resume.empty()) message += ",\"resume\":" + json_quote(resume);
  return message + "}";
}

std::string resumed_message(const std::vector<std::string>& channels, bool gap, std::string_view id) {
  std::string message = "{\"type\":\"resumed\",\"channels\":[";
  for (const std::string& channel : channels) {
    if (&channel != channels.data()) message += ',';
    message += json_quote(channel);
  }
  return message + "],\"gap\":" + (gap ? "true" : "false") + id_member(id) + "}";
}

std::string expiring_message(const Principal& who, base::WallTime now) {
  const auto left = std::chrono::round<std::chrono::seconds>(who.expires_at.value_or(now) - now);
  return "{\"type\":\"expiring\",\"expires_in\":" +
         std::to_string(std::max<std::int64_t>(0, left.count())) + "}";
}

std::string refreshed_message(const Principal& who) {
  return "{\"type\":\"refreshed\",\"expires_at\":" + seconds_of(who.expires_at) + "}";
}

std::string error_message(std::string_view reason, std::string_view id) {
  return "{\"type\":\"error\",\"reason\":" + json_quote(reason) + id_member(id) + "}";
}

std::string channel_answer(std::string_view type, std::string_view channel, std::string_view id) {
  return "{\"type\":" + json_quote(type) + ",\"channel\":" + json_quote(channel) + id_member(id) + "}";
}

std::string unsubscribed_message(std::string_view channel, std::string_view reason) {
  return "{\"type\":\"unsubscribed\",\"channel\":" + json_quote(channel) +
         ",\"reason\":" + json_quote(reason) + "}";
}

std::string publication(std::string_view channel, std::string_view subject,
                        std::string_view data_json) {
  return "{\"type\":\"message\",\"channel\":" + json_quote(channel) +
         ",\"subject\":" + json_quote(subject) + ",\"data\":" + std::string(data_json) + "}";
}

}  // namespace sallyport::auth
