// The only file that sees spdlog.

#include "main/logger.h"

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <poll.h>
#include <spdlog/sinks/base_sink.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <climits>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "main/log_format.h"

namespace sallyport::main {
namespace {

// How long a line waits for a reader that is behind. The workers write, so one that stands still must not be waited
// for: after a line that found no room, lines are dropped without waiting until there is room again.
constexpr int kPatienceMs = 20;
constexpr std::size_t kPieceBytes = PIPE_BUF;  // what poll(2) promises of a pipe that is writable

// spdlog's own stderr sink goes through stdio, which may split a line over several writes; lines of
// other processes on the same descriptor would then come in between.
class DescriptorSink final : public spdlog::sinks::base_sink<std::mutex> {
 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    if (!writable()) {
      ++dropped_;
      return;
    }
    if (dropped_ > 0) {
      const std::string note = format_json({.level = LogLevel::kWarn,
                                            .name = "log.dropped",
                                            .fields = {{"lines", static_cast<std::int64_t>(dropped_)}}},
                                           std::chrono::floor<std::chrono::milliseconds>(
                                               std::chrono::system_clock::now())) +
                               "\n";
      dropped_ = 0;
      write({note.data(), note.size()});
    }
    write({line.data(), line.size()});
  }
  void flush_() override {}

 private:
  bool writable() {
    pollfd stderr_ready{.fd = STDERR_FILENO, .events = POLLOUT, .revents = 0};
    const int ready = ::poll(&stderr_ready, 1, dropped_ > 0 ? 0 : kPatienceMs);
    return ready != 0;  // what is wrong with the descriptor, write(2) will say
  }

  void write(std::string_view text) {
    // What a full pipe cut off ends its line.
    if (std::exchange(broken_, false)) (void)put("\n");
    while (!text.empty()) {
      const ssize_t written = put(text.substr(0, kPieceBytes));
      if (written <= 0) return;  // nobody reads the log; the service goes on
      text.remove_prefix(static_cast<std::size_t>(written));
      if (text.empty() || writable()) continue;
      broken_ = true;
      ++dropped_;
      return;
    }
  }

  static ssize_t put(std::string_view text) {
    ssize_t written = 0;
    do {
      written = ::write(STDERR_FILENO, text.data(), text.size());
    } while (written < 0 && errno == EINTR);
    return written;
  }

  std::uint64_t dropped_ = 0;
  bool broken_ = false;
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
