#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace sallyport {

enum class LogLevel : std::uint8_t { kTrace, kDebug, kInfo, kWarn, kError };

/// One structured event. Field values come from the server or from verified claims; text that a peer chose
/// is escaped by whoever prints it. No event ever holds a credential.
struct LogEvent {
  using Value = std::variant<std::string, std::int64_t, bool>;

  LogLevel level = LogLevel::kInfo;
  std::string_view name;  ///< such as "ws.open" or "ws.close"; a literal
  std::vector<std::pair<std::string_view, Value>> fields = {};
};

/// Where events go. Called on several threads at once; must not block for long.
using LogSink = std::function<void(const LogEvent&)>;

[[nodiscard]] std::string_view name(LogLevel level) noexcept;

}  // namespace sallyport
