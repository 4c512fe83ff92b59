#include "feature/verifiers/asking.h"

#include <utility>

#include "io/ask.h"

namespace sallyport {
namespace {

constexpr std::chrono::seconds kQuiet{10};

}  // namespace

WallTime wall_now() {
  return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

void Asking::start(const VerifierHost& host) {
  if (link_ == nullptr) link_ = std::make_unique<Link>(host, options_);
}

void Asking::stop() noexcept { link_ = nullptr; }

awaitable<Verdict> Asking::ask(base::Sha256 about, std::function<awaitable<Verdict>()> question) {
  if (link_ == nullptr) co_return Verdict::unavailable(verifier_ + ": the app does not run");
  Link& link = *link_;
  // Named, since GCC 12 destroys a temporary with captures twice that stands within a co_await.
  std::function<awaitable<Verdict>()> run = [&link, about, question = std::move(question)] {
    return link.questions.ask(about, question);
  };
  co_return co_await io::ask<Verdict>(link.control, std::move(run));
}

Verdict Asking::unavailable(const std::string& detail) {
  const auto now = std::chrono::steady_clock::now();
  if (link_->log && now >= link_->quiet_until) {
    link_->quiet_until = now + kQuiet;
    link_->log({.level = LogLevel::kError,
                .name = "verifier.unavailable",
                .fields = {{"verifier", verifier_}, {"detail", detail}}});
  }
  return Verdict::unavailable(verifier_ + ": " + detail);
}

}  // namespace sallyport
