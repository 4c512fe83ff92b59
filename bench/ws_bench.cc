// What the codec itself costs. Build with -DSALLYPORT_BENCH=ON in a release build, and run
//   build/release/bench/ws_bench --benchmark_min_time=0.5

#include <benchmark/benchmark.h>

#include <array>
#include <cstring>
#include <span>
#include <string>

#include "core/ws/decoder.h"
#include "core/ws/deflate.h"
#include "core/ws/encoder.h"
#include "core/ws/mask.h"
#include "core/ws/utf8.h"

namespace {

using namespace sallyport::ws;

std::string frame_of(Opcode opcode, std::size_t size) {
  std::string frame;
  append_frame(frame, {.opcode = opcode, .mask = MaskKey{0x37, 0xFA, 0x21, 0x3D}},
               std::string(size, 'x'));
  return frame;
}

// A receive buffer that holds many frames, as after a busy turn. Unmasking changes it, so that it
// is filled again outside the measured time.
template <typename Deliver>
void decode_many(benchmark::State& state, Opcode opcode, Deliver deliver) {
  constexpr std::size_t kFrames = 512;
  const std::string frame = frame_of(opcode, static_cast<std::size_t>(state.range(0)));
  std::string fresh;
  for (std::size_t i = 0; i < kFrames; ++i) fresh += frame;
  std::string buffer = fresh;
  Decoder decoder(Role::kServer);
  for (auto _ : state) {
    state.PauseTiming();
    std::memcpy(buffer.data(), fresh.data(), fresh.size());
    state.ResumeTiming();
    std::span<char> input(buffer);
    for (std::size_t i = 0; i < kFrames; ++i) {
      const Event event = decoder.next(input);
      deliver(event, i);
    }
  }
  const auto items = state.iterations() * static_cast<std::int64_t>(kFrames);
  state.SetItemsProcessed(items);
  state.counters["ns/frame"] = benchmark::Counter(
      static_cast<double>(items), benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void decode_text(benchmark::State& state) {
  decode_many(state, Opcode::kText,
              [](const Event& event, std::size_t) { benchmark::DoNotOptimize(event.payload); });
}
BENCHMARK(decode_text)->Arg(20)->Arg(125)->Arg(1000)->Arg(16'000);

void decode_binary(benchmark::State& state) {
  decode_many(state, Opcode::kBinary,
              [](const Event& event, std::size_t) { benchmark::DoNotOptimize(event.payload); });
}
BENCHMARK(decode_binary)->Arg(20)->Arg(125)->Arg(1000)->Arg(16'000);

void echo_text(benchmark::State& state) {
  std::string cork(64 * 1024, '\0');
  std::size_t used = 0;
  decode_many(state, Opcode::kText, [&](const Event& event, std::size_t) {
    const std::span<char> room = std::span(cork).subspan(used);
    const std::size_t size = write_frame(room, {.opcode = event.opcode}, event.payload);
    used = size == 0 ? 0 : used + size;
    benchmark::DoNotOptimize(cork.data());
    benchmark::ClobberMemory();
  });
}
BENCHMARK(echo_text)->Arg(20)->Arg(125)->Arg(1000);

void mask(benchmark::State& state) {
  std::string data(static_cast<std::size_t>(state.range(0)), 'x');
  for (auto _ : state) {
    apply_mask(data, 0x12345678U);
    benchmark::DoNotOptimize(data.data());
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(mask)->Arg(20)->Arg(1000)->Arg(64'000);

void validate_utf8(benchmark::State& state) {
  std::string text;
  while (text.size() < 4000) {
    text += state.range(0) == 0 ? "plain ascii text " : "\xD0\xBF\xD1\x80\xD0\xB8\xD0\xB2\xD0\xB5 ";
  }
  for (auto _ : state) benchmark::DoNotOptimize(valid_utf8(text));
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(text.size()));
}
BENCHMARK(validate_utf8)->ArgName("cyrillic")->Arg(0)->Arg(1);

std::string json_like(std::size_t size) {
  std::string text;
  for (unsigned i = 0; text.size() < size; ++i) {
    text += R"({"id":)" + std::to_string(i * 7919) + R"(,"name":"room","text":"hello there"},)";
  }
  text.resize(size);
  return text;
}

void deflate_message(benchmark::State& state) {
  const std::string text = json_like(static_cast<std::size_t>(state.range(0)));
  Deflater deflater;
  for (auto _ : state) benchmark::DoNotOptimize(deflater.deflate(text));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(deflate_message)->Arg(200)->Arg(4000);

void inflate_message(benchmark::State& state) {
  const std::string text = json_like(static_cast<std::size_t>(state.range(0)));
  Deflater deflater;
  const std::string compressed(*deflater.deflate(text));
  Inflater inflater;
  for (auto _ : state) benchmark::DoNotOptimize(inflater.inflate(compressed, text.size()));
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(inflate_message)->Arg(200)->Arg(4000);

}  // namespace
