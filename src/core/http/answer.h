#pragma once

#include <chrono>
#include <cstddef>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sallyport::http {

struct AnswerField {
  std::string name;
  std::string value;
};

/// An answer other than 101. `serialize` adds what every answer carries: Content-Length,
/// Connection: close and, unless a field says otherwise, Cache-Control: no-store.
struct Answer {
  unsigned status = 200;
  std::vector<AnswerField> fields;
  std::string body;
};

enum class AnswerError {
  kStatus,  ///< not within 200 to 599: 101 is made by `switching_protocols`
  kField,   ///< a name that is no token, or a value with CR, LF, NUL or another control character
  kFramed,  ///< Content-Length, Transfer-Encoding, Connection or Upgrade: set here, not by the
            ///< caller
};

enum class Body {
  kSent,
  kOmitted,  ///< the answer to HEAD: Content-Length stays, the body does not come
};

/// The reason phrase of a status (RFC 9110 section 15); empty for one that this library does not
/// use.
[[nodiscard]] std::string_view reason_phrase(unsigned status) noexcept;

/// Whether an answer with this status may have a body at all (RFC 9110 section 6.4.1).
[[nodiscard]] bool has_content(unsigned status) noexcept;

/// The whole answer as it goes out. Nothing of it is sent if a field is not clean: an application's
/// value must not be able to start a second answer.
[[nodiscard]] std::expected<std::string, AnswerError> serialize(const Answer& answer,
                                                                Body body = Body::kSent);
/// Only the head, for a body of so many bytes that follows or, after HEAD, does not; `answer.body` is not looked at.
[[nodiscard]] std::expected<std::string, AnswerError> serialize_head(const Answer& answer, std::size_t body_bytes);

/// A refusal (RFC 9457): `{"type":"about:blank","title":...,"status":...,"reason":...}`. The title
/// is the status' reason phrase unless given; `reason` is the machine-readable word. The caller
/// adds the fields that the status demands (RFC 9110), with the helpers below.
[[nodiscard]] Answer problem(unsigned status, std::string_view reason,
                             std::vector<AnswerField> fields = {}, std::string_view title = {});

/// WWW-Authenticate: Bearer, with the error code of RFC 6750 section 3.1 if there is one.
[[nodiscard]] AnswerField www_authenticate(std::string_view error = {});
/// Retry-After in whole seconds, rounded up, at least 1.
[[nodiscard]] AnswerField retry_after(std::chrono::milliseconds delay);
/// Upgrade: websocket and Sec-WebSocket-Version: 13, for 426. `serialize` accompanies the former
/// with Connection: Upgrade, close (RFC 9110 section 7.8).
[[nodiscard]] std::vector<AnswerField> upgrade_required();

/// The answer that opens a WebSocket (RFC 6455 section 4.2.2). `fields` are the application's own.
[[nodiscard]] std::expected<std::string, AnswerError> switching_protocols(
    std::string_view accept_key, std::optional<std::string_view> protocol,
    std::optional<std::string_view> extensions, std::span<const AnswerField> fields = {});

/// A JSON string with its quotes; `text` must be UTF-8.
[[nodiscard]] std::string json_string(std::string_view text);

}  // namespace sallyport::http
