#pragma once

#include <boost/json/value.hpp>
#include <expected>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/secret.h"
#include "io/http_client.h"
#include "main/command_line.h"

namespace sallyport::main {

/// Why something was not done: the exit status, and a sentence for stderr that never has the token.
struct AdminFault {
  int status = 1;
  std::string text;
};

/// Asks the admin API of a running server, one question at a time, and waits for the answer.
class AdminClient {
 public:
  /// Reads the token. Nothing has been asked yet.
  [[nodiscard]] static std::expected<AdminClient, AdminFault> open(const AdminAccess& access);

  /// `path` begins with a slash and is encoded; an empty body is none. The answer's JSON, or why there is
  /// none: what the API says about a refusal, and what to do about it where that is known.
  [[nodiscard]] std::expected<boost::json::value, AdminFault> ask(const std::string& method,
                                                                  const std::string& path,
                                                                  std::string_view body = {}) const;

 private:
  AdminClient(io::HttpUrl url, std::string token_file, base::Secret token)
      : url_(std::move(url)), token_file_(std::move(token_file)), token_(std::move(token)) {}
  [[nodiscard]] AdminFault refused(const io::HttpReply& reply) const;

  io::HttpUrl url_;
  std::string token_file_;
  base::Secret token_;
};

/// `?name=value&...` of those that have a value, percent-encoded.
[[nodiscard]] std::string query_of(const std::vector<std::pair<std::string_view, std::string>>& parameters);

}  // namespace sallyport::main
