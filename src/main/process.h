#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "sallyport/app.h"

namespace sallyport::main {

/// Opens /dev/null in the place of a standard stream that is closed. First of all: otherwise the
/// next socket takes its number, and what is meant for the log goes to a peer.
void reserve_standard_streams();

/// Raises the limit of open files to what this process is allowed, and ignores SIGPIPE. Once,
/// before the server starts.
void prepare_process(const LogSink& log);

/// Answers SIGHUP as long as it lives. Make it before any other thread: it blocks the signal in the
/// calling thread, and threads made later inherit that.
class HangupWatch {
 public:
  HangupWatch();
  ~HangupWatch();
  /// What to do about it, on the watch's own thread; nothing: nothing. Returns when what was done before has ended.
  void answer(std::function<void()> reload);
  HangupWatch(const HangupWatch&) = delete;
  HangupWatch& operator=(const HangupWatch&) = delete;

 private:
  void wait();

  std::mutex mutex_;
  std::function<void()> reload_;        // under the mutex, which is held while it runs
  std::atomic<bool> stopping_ = false;  // set on one thread, read on the watch's
  std::thread thread_;
};

/// Why an app could not start.
struct StartFault {
  std::string detail = {};
  bool listener = false;  ///< one for sockets could not be opened
};

/// Runs the app until it has stopped; prints a line for each listener, and says on stderr why it
/// could not start and, with `elsewhere`, how to choose another address. Returns the exit status.
/// `fault` is what `watch_faults` has kept.
int run_app(App& app, RunOptions options, const LogSink& log, const StartFault& fault,
            std::string_view elsewhere);

/// A sink that passes events on to `log`, except why a listener could not be opened, which it keeps
/// in `fault` and passes on only if it is to be `logged` as well as told. That event comes on the
/// thread that calls `run`, before there are others; `fault` must outlive the app.
[[nodiscard]] LogSink watch_faults(LogSink log, StartFault& fault, bool logged);

}  // namespace sallyport::main
