#pragma once

#include <chrono>
#include <expected>
#include <string>
#include <vector>

#include "main/command_line.h"

namespace sallyport::main {

/// Prints a new token. Returns the exit status.
[[nodiscard]] int token_mint(const TokenMintCommand& command);

/// What a token cannot be made without and the command does not say, such as "--alg". Claims given
/// with --claim count.
[[nodiscard]] std::vector<std::string> missing_options(const TokenMintCommand& command);

/// The claims of that token as JSON, or what is wrong with the command. Claims given with --claim
/// win.
[[nodiscard]] std::expected<std::string, std::string> mint_payload(const TokenMintCommand& command,
                                                                   std::chrono::sys_seconds now);

/// Reads a token from stdin and explains each check of the verifier. The token itself is not
/// printed. Returns the exit status: 0 if it is acceptable, 1 if not.
[[nodiscard]] int token_inspect(const TokenInspectCommand& command);

}  // namespace sallyport::main
