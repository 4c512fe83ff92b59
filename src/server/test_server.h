#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "sallyport/app.h"

namespace sallyport::server::test {

using namespace std::chrono_literals;

/// Waits until `condition` holds; false if it does not within the time.
[[nodiscard]] bool eventually(const std::function<bool()>& condition, std::chrono::milliseconds patience = 10s);

/// Suspends the calling coroutine for so long.
awaitable<void> pause_for(std::chrono::milliseconds time);

/// A list of texts that several threads write and a test reads.
class Record {
 public:
  void add(std::string text);
  [[nodiscard]] std::vector<std::string> all() const;
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] bool wait_for(std::size_t count) const;

 private:
  mutable std::mutex mutex_;
  std::vector<std::string> texts_;
};

/// What an app logs: each event as "name field=value field=value".
class Log {
 public:
  [[nodiscard]] LogSink sink();
  [[nodiscard]] std::vector<std::string> all() const { return record_.all(); }
  /// How many events of that name have `part` in their text.
  [[nodiscard]] std::size_t count(std::string_view name, std::string_view part = {}) const;

 private:
  Record record_;
};

/// An app on a thread of its own, on a loopback port that the kernel chooses. Set `app` up, then `start`.
class Server {
 public:
  explicit Server(AppOptions options = {});
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Runs with two workers, without signals and without a drain window unless `options` say otherwise, and
  /// waits until it listens.
  void start(RunOptions options = {.workers = 2, .drain = std::chrono::milliseconds(0)});
  /// Stops and waits for the end. What `run` has returned.
  int stop();
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  /// Whether no authenticated connection is left, soon.
  [[nodiscard]] bool empties() const;

  App app;

 private:
  std::uint16_t port_ = 0;
  int result_ = -1;
  std::thread thread_;
};

/// A certificate for localhost, the same for all tests of this process.
[[nodiscard]] const Tls& localhost_tls();

inline constexpr std::string_view kIssuer = "https://id.example.com/";
inline constexpr std::string_view kSecret = "a secret of more than 32 bytes, for tests only";

struct TokenSpec {
  std::string subject = "ada";
  std::chrono::seconds life{600};
  std::string scope = {};
  std::string more = {};  ///< further members of the claims, such as R"(,"role":"staff")"
  std::string issuer = std::string(kIssuer);
};
[[nodiscard]] std::string claims_of(const TokenSpec& spec);
/// A token signed with `kSecret`.
[[nodiscard]] std::string token(const TokenSpec& spec = {});
/// Accepts such tokens, without leeway.
[[nodiscard]] Verifier secret_verifier();

}  // namespace sallyport::server::test
