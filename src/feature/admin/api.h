#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/clock.h"
#include "core/http/answer.h"
#include "core/http/head.h"
#include "feature/admin/token_file.h"
#include "feature/admin/wrong_tokens.h"
#include "sallyport/awaitable.h"
#include "sallyport/log.h"
#include "server/control.h"

namespace sallyport::admin {

/// What the admin API answers, whatever brings the requests. On the control thread.
class Api {
 public:
  /// `hosts` as in AdminOptions, in lower case. All arguments must outlive it, and so must whatever waits in
  /// `answer`.
  Api(server::Control& control, TokenFile& token, const std::vector<std::string>& hosts, const LogSink& log)
      : control_(control), token_(token), hosts_(hosts), log_(log) {}

  /// Decides by the head alone, before any body is read: nothing means that `answer` may be asked. The
  /// credential is cut out of the head.
  [[nodiscard]] std::optional<http::Answer> admit(http::Head& head, base::MonoTime now);
  /// Only for a request that has been admitted. Throws what `Control` throws.
  [[nodiscard]] awaitable<http::Answer> answer(std::string method, std::string path, std::string query,
                                               std::string body);

 private:
  struct Call {
    std::string id;  ///< the last part of the path, where the endpoint has one
    std::string query;
    std::string body;
  };
  using Handler = awaitable<http::Answer> (Api::*)(Call);
  struct Endpoint;
  static std::span<const Endpoint> endpoints();

  [[nodiscard]] bool is_known_host(std::string_view host) const;
  [[nodiscard]] std::optional<http::Answer> check_token(http::Head& head, base::MonoTime now);

  awaitable<http::Answer> list_connections(Call call);
  awaitable<http::Answer> close_connection(Call call);
  awaitable<http::Answer> list_revocations(Call call);
  awaitable<http::Answer> revoke(Call call);
  awaitable<http::Answer> lift(Call call);
  awaitable<http::Answer> publish(Call call);
  awaitable<http::Answer> list_channels(Call call);
  awaitable<http::Answer> metrics(Call call);

  server::Control& control_;
  TokenFile& token_;
  const std::vector<std::string>& hosts_;
  const LogSink& log_;
  WrongTokens wrong_;
  std::string told_fault_;  // of the token's file, so that the log has it once
};

}  // namespace sallyport::admin
