// What a credential costs that a worker has verified before: its hash and one look into the cache, which is what
// every reconnect pays. What the first time costs is in jose_bench.
//
//   cmake --preset release -DSALLYPORT_BENCH=ON && cmake --build build/release --target verify_bench
//   build/release/bench/verify_bench --benchmark_min_time=1

#include <benchmark/benchmark.h>

#include <chrono>
#include <cstddef>
#include <cstring>
#include <memory>
#include <random>
#include <string>

#include "core/base/digest.h"
#include "server/verification_cache.h"

namespace {

using namespace sallyport;
using server::VerificationCache;

constexpr base::WallTime kNow{std::chrono::seconds(1'800'000'000)};

// Texts as long as tokens are: 400 bytes is an ES256 token with a handful of claims, 800 an RS256 one with more.
// They differ in a number that is written into one text, which is therefore at hand, as a handshake that has just
// been read is.
class Credentials {
 public:
  explicit Credentials(std::size_t bytes) : text_(bytes, '\0') {
    std::mt19937 random(1);
    for (char& c : text_) c = static_cast<char>('a' + random() % 26);
  }
  const std::string& at(std::size_t number) {
    std::memcpy(text_.data(), &number, sizeof number);
    return text_;
  }

 private:
  std::string text_;
};

void hit(benchmark::State& state) {
  const auto known = static_cast<std::size_t>(state.range(0));
  Credentials tokens(static_cast<std::size_t>(state.range(1)));
  VerificationCache cache;
  for (std::size_t i = 0; i < known; ++i) {
    const Principal who{.issuer = "https://id.example.com/",
                        .subject = "248289761001",
                        .expires_at = kNow + std::chrono::hours(1),
                        .valid_until = kNow + std::chrono::hours(1)};
    cache.insert({base::sha256(tokens.at(i)), 0}, std::make_shared<const Principal>(who));
  }
  std::size_t next = 0;
  for (auto _ : state) {
    // In another order than they lie in memory, as clients come back.
    next = (next + 7919) % known;
    const auto found = cache.find({base::sha256(tokens.at(next)), 0}, kNow);
    if (found == nullptr) state.SkipWithError("not found");
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(hit)->Name("BM_CachedVerification")->ArgNames({"known", "bytes"})->ArgsProduct({{1, 1000, 16'384}, {400, 800}});

void hash(benchmark::State& state) {
  Credentials tokens(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(base::sha256(tokens.at(0)));
}
BENCHMARK(hash)->Name("BM_Sha256")->ArgName("bytes")->Arg(400)->Arg(800);

}  // namespace
