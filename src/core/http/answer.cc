#include "core/http/answer.h"

#include <algorithm>

#include "core/http/grammar.h"

namespace sallyport::http {
namespace {

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) noexcept {
  return std::ranges::any_of(names, [&](auto other) { return equals_ignoring_case(name, other); });
}

bool is_clean(std::string_view name, std::string_view value) noexcept {
  return is_token(name) && is_field_value(value);
}

void append_field(std::string& text, std::string_view name, std::string_view value) {
  text.append(name).append(": ").append(value).append("\r\n");
}

void append_status_line(std::string& text, unsigned status) {
  text.append("HTTP/1.1 ").append(std::to_string(status)).append(" ");
  text.append(reason_phrase(status)).append("\r\n");
}

}  // namespace

std::string_view reason_phrase(unsigned status) noexcept {
  switch (status) {
    case 101:
      return "Switching Protocols";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 204:
      return "No Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 411:
      return "Length Required";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Content";
    case 426:
      return "Upgrade Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:  // an application's own status: the phrase may be empty (RFC 9112 section 4)
      return "";
  }
}

// RFC 9110 section 8.6: no Content-Length with 204.
bool has_content(unsigned status) noexcept {
  return status != 204 && status != 304;
}

std::expected<std::string, AnswerError> serialize(const Answer& answer, Body body) {
  auto text = serialize_head(answer, answer.body.size());
  if (text && body == Body::kSent && has_content(answer.status)) text->append(answer.body);
  return text;
}

std::expected<std::string, AnswerError> serialize_head(const Answer& answer, std::size_t body_bytes) {
  if (answer.status < 200 || answer.status > 599) return std::unexpected(AnswerError::kStatus);
  std::string text;
  text.reserve(256 + answer.body.size());
  append_status_line(text, answer.status);
  bool cache_control = false;
  bool upgrade = false;
  for (const AnswerField& field : answer.fields) {
    if (!is_clean(field.name, field.value)) return std::unexpected(AnswerError::kField);
    const bool names_upgrade = equals_ignoring_case(field.name, "Upgrade");
    if (is_one_of(field.name, {"Content-Length", "Transfer-Encoding", "Connection"}) ||
        (names_upgrade && answer.status != 426)) {
      return std::unexpected(AnswerError::kFramed);
    }
    upgrade = upgrade || names_upgrade;
    cache_control = cache_control || equals_ignoring_case(field.name, "Cache-Control");
    append_field(text, field.name, field.value);
  }
  if (!cache_control) append_field(text, "Cache-Control", "no-store");
  append_field(text, "Connection", upgrade ? "Upgrade, close" : "close");
  if (has_content(answer.status)) {
    append_field(text, "Content-Length", std::to_string(body_bytes));
  }
  text.append("\r\n");
  return text;
}

Answer problem(unsigned status, std::string_view reason, std::vector<AnswerField> fields,
               std::string_view title) {
  Answer answer{.status = status, .fields = std::move(fields)};
  answer.fields.insert(answer.fields.begin(),
                       {.name = "Content-Type", .value = "application/problem+json"});
  answer.body = "{\"type\":\"about:blank\",\"title\":" +
                json_string(title.empty() ? reason_phrase(status) : title) +
                ",\"status\":" + std::to_string(status) + ",\"reason\":" + json_string(reason) +
                "}";
  return answer;
}

AnswerField www_authenticate(std::string_view error) {
  std::string value = "Bearer";
  if (!error.empty()) value.append(" error=\"").append(error).append("\"");
  return {.name = "WWW-Authenticate", .value = std::move(value)};
}

AnswerField retry_after(std::chrono::milliseconds delay) {
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(delay);
  return {.name = "Retry-After",
          .value = std::to_string(std::max(seconds, std::chrono::seconds(1)).count())};
}

std::vector<AnswerField> upgrade_required() {
  return {{.name = "Upgrade", .value = "websocket"},
          {.name = "Sec-WebSocket-Version", .value = "13"}};
}

std::expected<std::string, AnswerError> switching_protocols(
    std::string_view accept_key, std::optional<std::string_view> protocol,
    std::optional<std::string_view> extensions, std::span<const AnswerField> fields) {
  std::string text;
  text.reserve(256);
  append_status_line(text, 101);
  text.append("Upgrade: websocket\r\nConnection: Upgrade\r\n");
  const auto add = [&](std::string_view name, std::string_view value) {
    if (!is_clean(name, value)) return false;
    append_field(text, name, value);
    return true;
  };
  if (!add("Sec-WebSocket-Accept", accept_key)) return std::unexpected(AnswerError::kField);
  if (protocol && (!is_token(*protocol) || !add("Sec-WebSocket-Protocol", *protocol))) {
    return std::unexpected(AnswerError::kField);
  }
  if (extensions && !add("Sec-WebSocket-Extensions", *extensions)) {
    return std::unexpected(AnswerError::kField);
  }
  for (const AnswerField& field : fields) {
    if (is_one_of(field.name,
                  {"Content-Length", "Transfer-Encoding", "Connection", "Upgrade",
                   "Sec-WebSocket-Accept", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"})) {
      return std::unexpected(AnswerError::kFramed);
    }
    if (!add(field.name, field.value)) return std::unexpected(AnswerError::kField);
  }
  text.append("\r\n");
  return text;
}

std::string json_string(std::string_view text) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string json = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      json.push_back('\\');
      json.push_back(c);
    } else if (byte < 0x20) {
      json.append("\\u00");
      json.push_back(kHex[byte >> 4]);
      json.push_back(kHex[byte & 15]);
    } else {
      json.push_back(c);
    }
  }
  json.push_back('"');
  return json;
}

}  // namespace sallyport::http
