#pragma once

#include <exception>
#include <string>
#include <string_view>
#include <utility>

#include "sallyport/log.h"

namespace sallyport::server {

/// Collects an event's fields and hands it to the sink, which does not throw, when it goes out of scope; does
/// nothing without a sink. Values are what the server knows, never a whole header and never a credential.
class Event {
 public:
  Event(const LogSink& sink, LogLevel level, std::string_view name)
      : sink_(sink), event_{.level = level, .name = name} {}
  ~Event() {
    if (sink_) sink_(event_);
  }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  Event& with(std::string_view key, std::string value) {
    if (sink_ && !value.empty()) event_.fields.emplace_back(key, std::move(value));
    return *this;
  }
  Event& with(std::string_view key, std::string_view value) { return with(key, std::string(value)); }
  Event& with(std::string_view key, const char* value) { return with(key, std::string(value)); }
  Event& with(std::string_view key, std::int64_t value) {
    if (sink_) event_.fields.emplace_back(key, value);
    return *this;
  }

 private:
  const LogSink& sink_;
  LogEvent event_;
};

/// What the user's code has thrown, as text for the log. The text is theirs.
[[nodiscard]] inline std::string what_of(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const std::exception& error) {
    return error.what();
  } catch (...) {
    return "an exception of unknown type";
  }
}

}  // namespace sallyport::server
