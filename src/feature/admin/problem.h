#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/http/answer.h"

namespace sallyport::admin {

/// 200 with a JSON body.
[[nodiscard]] http::Answer json_answer(std::string body);

/// A refusal (RFC 9457). `detail` is a sentence for whoever has sent the request; empty: none.
[[nodiscard]] http::Answer refusal(unsigned status, std::string_view reason, std::string_view detail = {},
                                   std::vector<http::AnswerField> fields = {});

enum class After { kKeepOpen, kClose };

/// The whole answer as it goes out, with what every answer of this API carries: nothing of it is to be kept,
/// guessed at, framed or read by other sites. `body` is left out in the answer to HEAD.
[[nodiscard]] std::string wire_text(const http::Answer& answer, After after, http::Body body);

}  // namespace sallyport::admin
