#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "io/file_watch.h"
#include "sallyport/verifier.h"

namespace sallyport {

/// What a verifier has read from files, whatever it is: read again while an app runs when one of them changes. A good
/// new value replaces the old one within a second; a bad one changes nothing, and the log is told.
class FileBacked {
 public:
  using Value = std::shared_ptr<const void>;
  /// Reads all of the files. Throws `std::runtime_error` that names the file and the fault, and quotes nothing of it.
  using Load = std::function<Value()>;

  /// Reads at once, and throws what `load` throws. `user` is the verifier's name, for the log.
  FileBacked(std::string user, const std::vector<std::string>& paths, Load load);
  /// Of a value that was read before; the stamps are older than it.
  FileBacked(std::string user, std::vector<io::FileWatch::File> files, Value value, Load load);

  /// Begins to look, on the host's control thread. A second call changes nothing. What is no regular file, such as a
  /// pipe, can be read once only and is not looked at again.
  void start(const VerifierHost& host);
  void stop() noexcept;

  /// Thread-safe, like `epoch`.
  [[nodiscard]] Value current() const {
    const std::lock_guard lock(mutex_);
    return value_;
  }
  /// Grows when the value has been replaced.
  [[nodiscard]] std::uint32_t epoch() const noexcept { return epoch_.load(std::memory_order_acquire); }

 private:
  void reload();

  const std::string user_;
  const Load load_;
  std::vector<io::FileWatch::File> files_;  // the control thread's, like what follows
  LogSink log_;
  std::optional<io::FileWatch> watch_;

  // Workers read what the control thread writes: a copy of a pointer for each credential that no cache knows, which
  // costs little beside its verification.
  mutable std::mutex mutex_;
  Value value_;
  std::atomic<std::uint32_t> epoch_ = 0;
};

/// The same with a type.
template <typename T>
class FileValue {
 public:
  FileValue(std::string user, const std::vector<std::string>& paths, std::function<T()> load)
      : backed_(std::move(user), paths, erase(std::move(load))) {}
  FileValue(std::string user, std::vector<io::FileWatch::File> files, T value, std::function<T()> load)
      : backed_(std::move(user), std::move(files), std::make_shared<const T>(std::move(value)),
                erase(std::move(load))) {}

  void start(const VerifierHost& host) { backed_.start(host); }
  void stop() noexcept { backed_.stop(); }
  [[nodiscard]] std::shared_ptr<const T> current() const {
    return std::static_pointer_cast<const T>(backed_.current());
  }
  [[nodiscard]] std::uint32_t epoch() const noexcept { return backed_.epoch(); }

 private:
  static FileBacked::Load erase(std::function<T()> load) {
    return [load = std::move(load)] { return std::make_shared<const T>(load()); };
  }

  FileBacked backed_;
};

}  // namespace sallyport
