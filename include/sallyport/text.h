#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>

namespace sallyport {

/// An immutable string in one pointer; copies share the bytes, and an empty one owns nothing. What a million
/// connections keep of their principals (the same issuer, mostly absent sessions) is worth it. Converts to
/// `std::string_view`; may be copied and destroyed on any thread.
class Text {
 public:
  Text() = default;
  Text(std::string_view text);                                     // NOLINT: it stands for a string
  Text(const std::string& text) : Text(std::string_view(text)) {}  // NOLINT
  Text(const char* text) : Text(std::string_view(text)) {}         // NOLINT
  Text(const Text& other) noexcept : block_(other.block_) { share(); }
  Text(Text&& other) noexcept : block_(std::exchange(other.block_, nullptr)) {}
  Text& operator=(Text other) noexcept {
    std::swap(block_, other.block_);
    return *this;
  }
  ~Text() { release(); }

  operator std::string_view() const noexcept {  // NOLINT
    return block_ == nullptr ? std::string_view() : std::string_view(block_->bytes(), block_->size);
  }
  [[nodiscard]] std::string_view view() const noexcept { return *this; }
  [[nodiscard]] std::string str() const { return std::string(view()); }
  [[nodiscard]] bool empty() const noexcept { return block_ == nullptr; }
  [[nodiscard]] std::size_t size() const noexcept { return view().size(); }

  friend bool operator==(const Text& a, const Text& b) noexcept { return a.view() == b.view(); }
  friend bool operator==(const Text& a, std::string_view b) noexcept { return a.view() == b; }
  friend bool operator==(const Text& a, const std::string& b) noexcept { return a.view() == b; }
  friend bool operator==(const Text& a, const char* b) noexcept { return a.view() == b; }
  friend std::ostream& operator<<(std::ostream& out, const Text& text) { return out << text.view(); }

 private:
  struct Block {
    std::atomic<std::uint32_t> owners;
    std::uint32_t size;
    // The characters follow.
    [[nodiscard]] const char* bytes() const noexcept {
      return reinterpret_cast<const char*>(this) + sizeof(Block);
    }
  };
  void share() const noexcept {
    if (block_ != nullptr) block_->owners.fetch_add(1, std::memory_order_relaxed);
  }
  void release() noexcept;

  Block* block_ = nullptr;
};

}  // namespace sallyport
