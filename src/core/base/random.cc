#include "core/base/random.h"

#include <openssl/rand.h>

#include <array>
#include <cstring>
#include <string_view>

#include "core/base/assert.h"
#include "core/base/base64url.h"

namespace sallyport::base {
namespace {

// A call into the generator costs about a microsecond whatever the size, so small requests are
// served from a block that is drawn at once. Bytes are used once and then overwritten.
class Pool {
 public:
  void take(std::span<std::uint8_t> output) {
    if (output.size() > left_) refill();
    std::uint8_t* const from = block_.data() + (block_.size() - left_);
    std::memcpy(output.data(), from, output.size());
    std::memset(from, 0, output.size());
    left_ -= output.size();
  }
  static constexpr std::size_t kLargest = 64;

 private:
  void refill() {
    SALLYPORT_ASSERT(RAND_bytes(block_.data(), static_cast<int>(block_.size())) == 1);
    left_ = block_.size();
  }
  std::array<std::uint8_t, 1024> block_{};
  std::size_t left_ = 0;
};

}  // namespace

void random_bytes(std::span<std::uint8_t> output) {
  if (output.size() > Pool::kLargest) {
    SALLYPORT_ASSERT(RAND_bytes(output.data(), static_cast<int>(output.size())) == 1);
    return;
  }
  thread_local Pool pool;
  pool.take(output);
}

std::string random_id(std::size_t bytes) {
  std::string raw(bytes, '\0');
  random_bytes({reinterpret_cast<std::uint8_t*>(raw.data()), raw.size()});
  return base64url_encode(raw);
}

std::uint32_t random_u32() {
  std::uint32_t value = 0;
  random_bytes({reinterpret_cast<std::uint8_t*>(&value), sizeof value});
  return value;
}

}  // namespace sallyport::base
