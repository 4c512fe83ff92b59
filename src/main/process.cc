#include "main/process.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <utility>
#include <variant>

#include "main/status.h"

namespace sallyport::main {
namespace {

sigset_t hangup_only() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGHUP);
  return set;
}

}  // namespace

void reserve_standard_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(stream, F_GETFD) >= 0 || errno != EBADF) continue;
    // The lowest free number is this one, since those below it are open.
    if (::open("/dev/null", O_RDWR) != stream) std::abort();
  }
}

void prepare_process(const LogSink& log) {
  std::signal(SIGPIPE, SIG_IGN);
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) == 0) return;
  log({.level = LogLevel::kWarn,
       .name = "server.descriptor_limit",
       .fields = {{"detail", std::string("cannot be raised: ") + std::strerror(errno)}}});
}

HangupWatch::HangupWatch() {
  const sigset_t set = hangup_only();
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  thread_ = std::thread([this] { wait(); });
}

HangupWatch::~HangupWatch() {
  stopping_ = true;
  pthread_kill(thread_.native_handle(), SIGHUP);
  thread_.join();
}

void HangupWatch::answer(std::function<void()> reload) {
  const std::lock_guard lock(mutex_);
  reload_ = std::move(reload);
}

void HangupWatch::wait() {
  const sigset_t set = hangup_only();
  while (true) {
    int signal = 0;
    if (sigwait(&set, &signal) != 0 || stopping_) return;
    const std::lock_guard lock(mutex_);
    if (reload_) reload_();
  }
}

LogSink watch_faults(LogSink log, StartFault& fault, bool logged) {
  return [log = std::move(log), &fault, logged](const LogEvent& event) {
    if (event.name == "server.listen_failed" || event.name == "server.start_failed") {
      for (const auto& [key, value] : event.fields) {
        const auto* const text = std::get_if<std::string>(&value);
        if (key == "detail" && text != nullptr) fault = {*text, event.name == "server.listen_failed"};
      }
      if (!logged) return;
    }
    log(event);
  };
}

int run_app(App& app, RunOptions options, const LogSink& log, const StartFault& fault,
            std::string_view elsewhere) {
  options.on_listening = [&log, then = std::move(options.on_listening)](const std::string& url) {
    log({.name = "server.listening", .fields = {{"url", url}}});
    print("listening on " + url + "\n");
    if (then) then(url);
  };
  const int status = app.run(std::move(options));
  if (status != 0) {
    return complain(kFailed, fault.listener ? fault.detail + "; to listen elsewhere, " + std::string(elsewhere)
                                            : fault.detail);
  }
  log({.name = "server.stopped"});
  return kDone;
}

}  // namespace sallyport::main
