// The only file that sees spdlog.

#include "main/logger.h"

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <memory>
#include <mutex>
#include <utility>

#include "main/log_format.h"

namespace sallyport::main {
namespace {

// spdlog's own stderr sink goes through stdio, which may split a line over several writes; lines of
// other processes on the same descriptor would then come in between.
class DescriptorSink final : public spdlog::sinks::base_sink<std::mutex> {
 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    const char* data = line.data();
    std::size_t rest = line.size();
    while (rest > 0) {
      const ssize_t written = ::write(STDERR_FILENO, data, rest);
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return;  // nobody reads the log; the service goes on
      data += written;
      rest -= static_cast<std::size_t>(written);
    }
  }
  void flush_() override {}
};

spdlog::level::level_enum level_of(LogLevel level) {
  switch (level) {
    case LogLevel::kTrace:
      return spdlog::level::trace;
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

}  // namespace

LogSink make_log(const config::LogSettings& settings) {
  auto logger = std::make_shared<spdlog::logger>("sallyport", std::make_shared<DescriptorSink>());
  logger->set_formatter(
      std::make_unique<spdlog::pattern_formatter>("%v", spdlog::pattern_time_type::utc, "\n"));
  logger->set_level(level_of(settings.level));
  return [logger, format = settings.format](const LogEvent& event) {
    const auto level = level_of(event.level);
    if (!logger->should_log(level)) return;
    const auto now =
        std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
    const std::string line =
        format == config::LogFormat::kJson ? format_json(event, now) : format_text(event, now);
    logger->log(level, spdlog::string_view_t(line.data(), line.size()));
  };
}

}  // namespace sallyport::main
