#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/base/secret.h"
#include "sallyport/principal.h"

// The in-band protocol: JSON text messages whose first member is "type".

namespace sallyport::auth {

enum class ControlType : std::uint8_t { kAuth, kRefresh, kResume, kSubscribe, kUnsubscribe, kPublish };

struct ControlMessage {
  ControlType type;
  base::Secret token;   ///< of auth and refresh
  std::string channel;  ///< of the channel messages
  std::string data;     ///< of publish: JSON text
  std::string id;       ///< the client's id as JSON text; empty if there is none
  base::Secret resume = {};  ///< of auth and resume: where another connection stopped; empty if auth has none
  /// Likewise: how many publications arrived on that connection, if the client has counted.
  std::optional<std::uint64_t> received = {};
};

/// The value of "type" if `text` is an object whose first member is "type" with a string value; a cheap
/// look at the first bytes that never allocates for other messages. Nothing else is a control message.
[[nodiscard]] std::optional<std::string> control_type(std::string_view text);

struct ControlError {
  std::string id;  ///< so that the answer can name the request; empty if it could not be read
};

/// Parses a control message strictly: unknown types, duplicate or mistyped members are errors, further
/// members are ignored. `limit` bounds nothing by itself: the message has passed the codec's.
[[nodiscard]] std::expected<ControlMessage, ControlError> parse_control(std::string_view text);

// What the server says. `id` is JSON text as it came, or empty.
/// `resume` is the token for going on where this connection will stop; empty if that is not possible.
[[nodiscard]] std::string ready_message(std::string_view connection, const Principal& who,
                                        std::string_view resume = {});
/// The connection goes on where another one stopped, in these channels. `gap`: something is lost.
[[nodiscard]] std::string resumed_message(const std::vector<std::string>& channels, bool gap, std::string_view id);
[[nodiscard]] std::string expiring_message(const Principal& who, base::WallTime now);
[[nodiscard]] std::string refreshed_message(const Principal& who);
[[nodiscard]] std::string error_message(std::string_view reason, std::string_view id);
/// `type` is subscribed, unsubscribed or published.
[[nodiscard]] std::string channel_answer(std::string_view type, std::string_view channel,
                                         std::string_view id);
/// A subscription that the server ended, with the reason.
[[nodiscard]] std::string unsubscribed_message(std::string_view channel, std::string_view reason);
[[nodiscard]] std::string publication(std::string_view channel, std::string_view subject,
                                      std::string_view data_json);

/// A JSON string literal.
[[nodiscard]] std::string json_quote(std::string_view text);

}  // namespace sallyport::auth
