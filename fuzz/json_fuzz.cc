// The strict JSON parser: whatever it accepts must survive being written and read again.

#include <boost/json/serialize.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "core/base/json.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sallyport::base;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const JsonLimits limits{.bytes = 4096, .depth = 8};
  const auto first = parse_json(text, limits);
  if (!first) return 0;
  if (size > limits.bytes) std::abort();
  // Numbers grow when they are written, so the second reading gets more room.
  const std::string written = boost::json::serialize(*first);
  const auto second = parse_json(written, {.bytes = 1 << 20, .depth = 8});
  if (!second) std::abort();
  // The library prints doubles exactly but may read one a bit off, hence a third round.
  const std::string again = boost::json::serialize(*second);
  const auto third = parse_json(again, {.bytes = 1 << 20, .depth = 8});
  if (!third) std::abort();
  return 0;
}
