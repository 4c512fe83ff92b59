// In-band control messages. The cheap look and the strict parser must agree, since the first
// decides whether a credential is kept from the application; what is handed on must be the JSON
// that came.

#include <algorithm>
#include <boost/json/value.hpp>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/auth/inband.h"
#include "core/auth/permit.h"
#include "core/base/assert.h"
#include "core/base/json.h"

namespace {

using namespace sallyport;

constexpr base::JsonLimits kLimits{.bytes = SIZE_MAX, .depth = 64};
// An answer is a level deeper than what it carries, and may be longer.
constexpr base::JsonLimits kAnswerLimits{.bytes = SIZE_MAX, .depth = 65};

std::string_view name_of(auth::ControlType type) {
  switch (type) {
    case auth::ControlType::kAuth:
      return "auth";
    case auth::ControlType::kRefresh:
      return "refresh";
    case auth::ControlType::kSubscribe:
      return "subscribe";
    case auth::ControlType::kUnsubscribe:
      return "unsubscribe";
    case auth::ControlType::kPublish:
      return "publish";
  }
  return {};
}

// Equal but for the last bits of fractions: Boost.JSON rounds a number by another path where less text follows it.
bool same(const boost::json::value& a, const boost::json::value& b) {
  if (a.is_double() && b.is_double()) {
    const double size = std::max(std::abs(a.get_double()), std::abs(b.get_double()));
    return std::abs(a.get_double() - b.get_double()) <= size * 1e-15;
  }
  if (a.is_array() && b.is_array()) {
    return std::ranges::equal(a.get_array(), b.get_array(), same);
  }
  if (a.is_object() && b.is_object()) {
    return std::ranges::equal(a.get_object(), b.get_object(), [](const auto& x, const auto& y) {
      return x.key() == y.key() && same(x.value(), y.value());
    });
  }
  return a == b;
}

// The text of a member as it came must still mean what the parser understood.
void check_raw(const boost::json::value& message, std::string_view member, std::string_view raw) {
  const boost::json::value* const value = message.get_object().if_contains(member);
  SALLYPORT_ASSERT((value == nullptr) == raw.empty());
  if (value == nullptr) return;
  const auto again = base::parse_json(raw, kLimits);
  SALLYPORT_ASSERT(again.has_value());
  SALLYPORT_ASSERT(same(*again, *value));
}

void check_answer(const std::string& answer, std::string_view type) {
  SALLYPORT_ASSERT(base::parse_json(answer, kAnswerLimits).has_value());
  SALLYPORT_ASSERT(auth::control_type(answer) == type);
}

void check_message(std::string_view text, const boost::json::value& json,
                   const auth::ControlMessage& message) {
  const std::string_view type = name_of(message.type);
  SALLYPORT_ASSERT(auth::control_type(text) == type);
  check_raw(json, "id", message.id);
  check_answer(auth::error_message("forbidden", message.id), "error");
  const bool credential =
      message.type == auth::ControlType::kAuth || message.type == auth::ControlType::kRefresh;
  SALLYPORT_ASSERT(credential != message.token.empty());
  if (credential) {
    SALLYPORT_ASSERT(std::string_view(json.at("token").get_string()) == message.token.reveal());
    return;
  }
  SALLYPORT_ASSERT(std::string_view(json.at("channel").get_string()) == message.channel);
  if (auth::valid_channel(message.channel)) {
    check_answer(auth::channel_answer("subscribed", message.channel, message.id), "subscribed");
  }
  if (message.type != auth::ControlType::kPublish) return;
  check_raw(json, "data", message.data);
  const std::string published = auth::publication(message.channel, "alice", message.data);
  check_answer(published, "message");
}

// Whatever is a credential message to a strict parser must be one to the cheap look.
void check_look(std::string_view text, const boost::json::value& json) {
  const boost::json::object* const object = json.if_object();
  if (object == nullptr || object->empty() || object->begin()->key() != "type") return;
  const boost::json::value& type = object->begin()->value();
  if (!type.is_string() || type.get_string().size() > 40) return;
  SALLYPORT_ASSERT(auth::control_type(text) == std::string_view(type.get_string()));
}

void check_pattern(std::string_view text) {
  const std::size_t middle = text.size() / 2;
  const auto pattern = auth::ChannelPattern::parse(text.substr(0, middle));
  if (!pattern) return;
  const Principal who{.subject = "alice", .claims = R"({"t":"a"})"};
  const bool fits =
      pattern->matches(text.substr(middle), who, [](std::string_view) { return "b"; });
  // No pattern adds or removes a level.
  const auto levels = [](std::string_view name) {
    return std::count(name.begin(), name.end(), '/');
  };
  if (fits && text.substr(0, middle).find('{') == std::string_view::npos) {
    SALLYPORT_ASSERT(levels(text.substr(0, middle)) == levels(text.substr(middle)));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto look = auth::control_type(text);
  const auto message = auth::parse_control(text);
  const auto json = base::parse_json(text, kLimits);
  check_pattern(text);
  if (!json) {
    SALLYPORT_ASSERT(!message.has_value());
    return 0;
  }
  check_look(text, *json);
  if (message) {
    SALLYPORT_ASSERT(look.has_value());
    check_message(text, *json, *message);
  } else {
    check_answer(auth::error_message("bad_request", message.error().id), "error");
  }
  return 0;
}
