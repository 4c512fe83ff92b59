#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "core/base/digest.h"
#include "feature/verifiers/question.h"
#include "io/http_client.h"
#include "sallyport/verifier.h"

namespace sallyport {

/// What verifiers that ask by HTTP have in common: a client on the control thread, one question at a time about one
/// thing, and a log that says once in a while, not for every connection, that nobody answers.
class Asking {
 public:
  Asking(std::string verifier, io::HttpClientOptions options)
      : verifier_(std::move(verifier)), options_(options) {}

  void start(const VerifierHost& host);
  void stop() noexcept;

  /// Runs `question` on the control thread, where `client` may be used. For a worker's coroutine. The caller
  /// keeps whatever the question uses, apart from the credential, for as long as the app runs.
  [[nodiscard]] awaitable<Verdict> ask(base::Sha256 about, std::function<awaitable<Verdict>()> question);

  // ---- On the control thread
  [[nodiscard]] io::HttpClient& client() noexcept { return *link_->client; }
  /// The verdict for a question that got no good answer; logs it at most once in ten seconds.
  [[nodiscard]] Verdict unavailable(const std::string& detail);

 private:
  struct Link {
    Link(const VerifierHost& host, io::HttpClientOptions options)
        : control(host.control),
          log(host.log),
          client(std::make_unique<io::HttpClient>(host.control, options)),
          questions(host.control) {}
    boost::asio::io_context& control;
    LogSink log;
    std::unique_ptr<io::HttpClient> client;
    Questions questions;
    std::chrono::steady_clock::time_point quiet_until{};
  };
  const std::string verifier_;
  const io::HttpClientOptions options_;
  std::unique_ptr<Link> link_;  // from start to stop, between which nothing changes it
};

/// The wall clock at this moment.
[[nodiscard]] WallTime wall_now();

}  // namespace sallyport
