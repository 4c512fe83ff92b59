#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "main/command_line.h"

namespace sallyport::main {

// The admin API of a running server, from a shell. Each returns the exit status: 0 done, 1 the server could
// not be asked or has refused, 2 what was asked cannot be meant.

/// Who is connected: a table, or with `json` one object a line.
[[nodiscard]] int connections(const ConnectionsCommand& command);
/// Ends logins and keeps them out, lists what is kept out, or lets it in again.
[[nodiscard]] int revoke(const RevokeCommand& command);
/// Says something in a channel.
[[nodiscard]] int publish(const PublishCommand& command);

/// What a command says.
struct Said {
  int status = 0;
  std::string text = {};       ///< for stdout
  std::string complaint = {};  ///< for stderr, instead of a text
};
[[nodiscard]] Said list_connections(const ConnectionsCommand& command);
[[nodiscard]] Said do_revoke(const RevokeCommand& command);
[[nodiscard]] Said do_publish(const PublishCommand& command);

/// Rows below their titles, in columns; the last column is not padded. Characters that a terminal would act
/// on are shown as "?": subjects come from whoever issues tokens.
[[nodiscard]] std::string table_of(const std::vector<std::vector<std::string>>& rows);

}  // namespace sallyport::main
