#pragma once

#include <string>
#include <string_view>

namespace sallyport::main {

// Exit status of the command; also the contract with service managers and scripts.
inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;  ///< a port taken, a file not writable, a token not acceptable
inline constexpr int kUsage = 2;   ///< the command line or the configuration is at fault

/// Writes "sallyport: " and one line on stderr, control characters replaced. Returns `status`.
int complain(int status, std::string_view text);

/// Writes to stdout and flushes. False if nobody could read it.
bool print(std::string_view text);

}  // namespace sallyport::main
