#include "core/base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace sallyport::base {

void assertion_failed(const char* condition, const char* file, int line) noexcept {
  std::fprintf(stderr, "sallyport: assertion failed: %s (%s:%d)\n", condition, file, line);
  std::abort();
}

}  // namespace sallyport::base
