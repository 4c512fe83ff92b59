#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string_view>

struct z_stream_s;

namespace sallyport::ws {

/// Messages are compressed one by one, with no context kept between them (RFC 7692 section 7.1.1),
/// so that one Inflater and one Deflater serve all connections of a thread and an idle connection
/// holds nothing. Both belong to one thread.

enum class InflateError : std::uint8_t {
  kTooLarge,  ///< more than the limit comes out; noticed while inflating
  kCorrupt,   ///< not a whole message as RFC 7692 section 7.2.2 has it
};

class Inflater {
 public:
  /// Holds about 40 KiB. Throws std::bad_alloc.
  Inflater();
  ~Inflater();
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  /// Inflates one message as it came off the wire, whatever window the peer used. The buffer grows
  /// with what comes out and never beyond `bytes_max` + 1. The result is valid until the next call.
  [[nodiscard]] std::expected<std::string_view, InflateError> inflate(std::string_view compressed,
                                                                      std::uint64_t bytes_max);

  /// The memory held for output at the moment. What a large message took is given back with the
  /// next call.
  [[nodiscard]] std::size_t output_capacity() const noexcept { return capacity_; }

 private:
  struct End {
    void operator()(z_stream_s* stream) const noexcept;
  };
  [[nodiscard]] std::expected<void, InflateError> feed(std::string_view input,
                                                       std::size_t room_max);
  void grow(std::size_t room_max);

  std::unique_ptr<z_stream_s, End> stream_;
  std::unique_ptr<char[]> output_;
  std::size_t capacity_ = 0;
  std::size_t used_ = 0;
};

/// The window that `Deflater` uses unless a smaller one was negotiated: 4 KiB.
inline constexpr int kWindowBitsDefault = 12;

class Deflater {
 public:
  /// `level` as zlib has it, 1 (fast) to 9 (small). Memory is taken when a window is first used,
  /// about 50 KiB for the default one.
  explicit Deflater(int level = 1);
  ~Deflater();
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;

  /// Compresses one message with a window of 2^`window_bits` bytes, 9 to 15. Nothing if the result
  /// would not be shorter than `payload`, which is then better sent as it is; noticed while
  /// deflating. The result is valid until the next call.
  [[nodiscard]] std::optional<std::string_view> deflate(std::string_view payload,
                                                        int window_bits = kWindowBitsDefault);

 private:
  static constexpr int kWindowBitsMin = 9;
  static constexpr int kWindowBitsMax = 15;
  struct End {
    void operator()(z_stream_s* stream) const noexcept;
  };
  [[nodiscard]] z_stream_s& stream(int window_bits);

  int level_;
  std::array<std::unique_ptr<z_stream_s, End>, kWindowBitsMax - kWindowBitsMin + 1> streams_;
  std::unique_ptr<char[]> output_;
  std::size_t capacity_ = 0;
};

}  // namespace sallyport::ws
