// The verifiers that are little more than an interface: several in order, a user's coroutine, and none at all.

#include "sallyport/verifier.h"

#include <stdexcept>
#include <utility>

namespace sallyport {

awaitable<Verdict> VerifierBackend::verify_later(Presented) const {
  co_return Verdict::unavailable("this verifier does not answer later");
}

std::optional<LogoutVerdict> VerifierBackend::verify_logout_now(std::string_view, WallTime) const {
  return LogoutVerdict{};
}

awaitable<LogoutVerdict> VerifierBackend::verify_logout_later(std::string) const {
  co_return LogoutVerdict{.kind = LogoutVerdict::Kind::kUnavailable, .detail = "this verifier does not answer later"};
}

Verifier any_of(const std::vector<Verifier>& verifiers) {
  std::vector<std::shared_ptr<const VerifierBackend>> all;
  for (const Verifier& verifier : verifiers) {
    all.insert(all.end(), verifier.backends().begin(), verifier.backends().end());
  }
  return Verifier(std::move(all));
}

namespace {

class CustomBackend final : public VerifierBackend {
 public:
  CustomBackend(std::function<awaitable<Verdict>(Presented)> ask, CustomOptions options)
      : ask_(std::move(ask)), options_(std::move(options)) {}

  std::optional<Verdict> verify_now(const Presented&, WallTime) const override { return std::nullopt; }
  awaitable<Verdict> verify_later(Presented presented) const override { return ask_(presented); }
  std::string_view name() const noexcept override { return options_.name; }
  std::chrono::milliseconds deadline() const noexcept override { return options_.deadline; }

 private:
  const std::function<awaitable<Verdict>(Presented)> ask_;
  const CustomOptions options_;
};

// The connection makes the principal itself: only it knows its id.
class AnonymousBackend final : public VerifierBackend {
 public:
  std::optional<Verdict> verify_now(const Presented&, WallTime) const override {
    return Verdict::refuse();
  }
  std::string_view name() const noexcept override { return "anonymous"; }
  bool anonymous() const noexcept override { return true; }
};

}  // namespace

Verifier verifier(std::function<awaitable<Verdict>(Presented)> ask, CustomOptions options) {
  if (!ask) throw std::invalid_argument("verifier " + options.name + ": there is no coroutine to ask");
  return Verifier(std::make_shared<CustomBackend>(std::move(ask), std::move(options)));
}

Verifier insecure_anonymous() { return Verifier(std::make_shared<AnonymousBackend>()); }

}  // namespace sallyport
