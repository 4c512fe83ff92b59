#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace sallyport::base {

/// Overwrites `size` bytes at `data` in a way that the optimiser may not remove.
void wipe(void* data, std::size_t size) noexcept;

/// A credential or key. It owns its bytes, wipes them on destruction and assignment, has no stream or
/// format operator, and cannot be copied by accident: whoever needs the text says `reveal()`, which is
/// what a reviewer greps for. Belongs to one thread at a time.
class Secret {
 public:
  Secret() = default;
  /// Copies `text`; the caller's own copy stays the caller's to wipe.
  explicit Secret(std::string_view text) : text_(text) {}
  ~Secret() { clear(); }

  Secret(Secret&& other) noexcept : text_(std::move(other.text_)) { other.clear(); }
  Secret& operator=(Secret&& other) noexcept {
    if (this != &other) {
      clear();
      text_ = std::move(other.text_);
      other.clear();
    }
    return *this;
  }
  Secret(const Secret&) = delete;
  Secret& operator=(const Secret&) = delete;

  /// The bytes themselves, valid while this object lives and is not assigned to.
  [[nodiscard]] std::string_view reveal() const noexcept { return text_; }
  [[nodiscard]] bool empty() const noexcept { return text_.empty(); }
  [[nodiscard]] std::size_t size() const noexcept { return text_.size(); }
  [[nodiscard]] Secret copy() const { return Secret(text_); }
  void clear() noexcept {
    wipe(text_.data(), text_.size());
    text_.clear();
  }

 private:
  std::string text_;
};

/// True if both are equal; the time depends on the lengths alone.
[[nodiscard]] bool equal_constant_time(std::string_view a, std::string_view b) noexcept;

}  // namespace sallyport::base
