#include "feature/verifiers/test_provider.h"

#include <map>
#include <utility>

#include "core/jose/mint.h"

namespace sallyport::test {

using io::test::http_answer;
using io::test::HttpAnswer;
using io::test::HttpQuestion;

const jose::Key& provider_key(const std::string& kid) {
  static std::mutex mutex;
  static std::map<std::string, jose::Key> keys;
  const std::lock_guard lock(mutex);
  if (const auto found = keys.find(kid); found != keys.end()) return found->second;
  return keys.emplace(kid, jose::generate_key(jose::Algorithm::kEs256, kid).value()).first->second;
}

Provider::Provider(std::vector<std::string> kids, std::uint16_t port) {
  publish(std::move(kids));
  server_ = std::make_unique<io::test::HttpServer>([this](const HttpQuestion& question) { return answer(question); },
                                                   nullptr, port);
}

void Provider::publish(std::vector<std::string> kids) {
  std::vector<jose::Key> keys;
  for (const std::string& kid : kids) keys.push_back(provider_key(kid));
  const std::lock_guard lock(mutex_);
  jwks_ = jose::export_jwks(keys).value();
}

void Provider::misbehave(std::function<HttpAnswer()> answer) {
  const std::lock_guard lock(mutex_);
  misbehaviour_ = std::move(answer);
}

void Provider::add_fields(std::string lines) {
  const std::lock_guard lock(mutex_);
  fields_ = std::move(lines);
}

void Provider::misguide(std::string metadata) {
  const std::lock_guard lock(mutex_);
  metadata_ = std::move(metadata);
}

std::size_t Provider::fetches() const {
  const std::lock_guard lock(mutex_);
  return fetches_;
}

std::size_t Provider::discoveries() const {
  const std::lock_guard lock(mutex_);
  return discoveries_;
}

HttpAnswer Provider::answer(const HttpQuestion& question) {
  const std::lock_guard lock(mutex_);
  if (question.target == "/.well-known/openid-configuration") {
    ++discoveries_;
    if (!metadata_.empty()) return http_answer(200, metadata_);
    return http_answer(200, R"({"issuer":")" + issuer() + R"(","jwks_uri":")" + jwks_url() + "\"}");
  }
  if (question.target != "/jwks") return http_answer(404, "");
  ++fetches_;
  if (misbehaviour_) return misbehaviour_();
  return http_answer(200, jwks_, fields_);
}

}  // namespace sallyport::test
