#include "feature/admin/problem.h"

#include <array>
#include <utility>

#include "core/base/assert.h"
#include "core/http/grammar.h"

namespace sallyport::admin {
namespace {

struct Fixed {
  std::string_view name;
  std::string_view value;
};
constexpr std::array<Fixed, 5> kAlways{{
    {"Cache-Control", "no-store"},
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "DENY"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
}};

bool is_fixed(std::string_view name) noexcept {
  for (const Fixed& field : kAlways) {
    if (http::equals_ignoring_case(field.name, name)) return true;
  }
  return false;
}

}  // namespace

http::Answer json_answer(std::string body) {
  return {.status = 200, .fields = {{"Content-Type", "application/json"}}, .body = std::move(body)};
}

http::Answer refusal(unsigned status, std::string_view reason, std::string_view detail,
                     std::vector<http::AnswerField> fields) {
  http::Answer answer = http::problem(status, reason, std::move(fields));
  if (!detail.empty()) {
    answer.body.pop_back();
    answer.body.append(",\"detail\":").append(http::json_string(detail)).append("}");
  }
  return answer;
}

std::string wire_text(const http::Answer& answer, After after, http::Body body) {
  std::string text;
  text.reserve(512 + answer.body.size());
  text.append("HTTP/1.1 ").append(std::to_string(answer.status)).append(" ");
  text.append(http::reason_phrase(answer.status)).append("\r\n");
  for (const http::AnswerField& field : answer.fields) {
    // All of them are ours, and none repeats what a caller has sent.
    SALLYPORT_ASSERT(http::is_token(field.name) && http::is_field_value(field.value));
    if (is_fixed(field.name)) continue;
    text.append(field.name).append(": ").append(field.value).append("\r\n");
  }
  for (const Fixed& field : kAlways) {
    text.append(field.name).append(": ").append(field.value).append("\r\n");
  }
  if (after == After::kClose) text.append("Connection: close\r\n");
  if (http::has_content(answer.status)) {
    text.append("Content-Length: ").append(std::to_string(answer.body.size())).append("\r\n");
  }
  text.append("\r\n");
  if (body == http::Body::kSent && http::has_content(answer.status)) text.append(answer.body);
  return text;
}

}  // namespace sallyport::admin
