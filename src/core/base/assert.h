#pragma once

// Two assertions, one condition each. SALLYPORT_ASSERT guards a security or memory invariant and
// stays on in release builds: a process that has lost one must not go on answering. SALLYPORT_DCHECK
// guards an expectation whose failure is handled anyway (fail closed) and is on in debug builds.

namespace sallyport::base {

/// Writes one line on standard error and aborts. Never returns.
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line) noexcept;

}  // namespace sallyport::base

#define SALLYPORT_ASSERT(condition) \
  ((condition) ? static_cast<void>(0) \
               : ::sallyport::base::assertion_failed(#condition, __FILE__, __LINE__))

#ifdef NDEBUG
#define SALLYPORT_DCHECK(condition) static_cast<void>(sizeof(condition))
#else
#define SALLYPORT_DCHECK(condition) SALLYPORT_ASSERT(condition)
#endif
