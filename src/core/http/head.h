#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sallyport::http {

/// A request head (RFC 9112): request line and fields, owned. One string holds the bytes as they
/// came and tables of offsets point into it, so that a head costs two allocations however many
/// fields it has. It is immutable except for the `erase` functions, by which a consumed credential
/// is cut out of every representation and wiped before anything else sees the head; the bytes are
/// also wiped on destruction. Views that it hands out live until the next `erase`, assignment or
/// destruction. Belongs to one thread at a time; cannot be copied by accident.
class Head {
 public:
  Head() = default;
  ~Head();
  Head(Head&&) noexcept = default;
  Head& operator=(Head&& other) noexcept;
  Head(const Head&) = delete;
  Head& operator=(const Head&) = delete;
  [[nodiscard]] Head copy() const;

  struct Field {
    std::string_view name;   ///< as it was sent
    std::string_view value;  ///< without surrounding spaces and tabs
  };

  /// The method, case-sensitive (RFC 9110 section 9.1).
  [[nodiscard]] std::string_view method() const noexcept { return view(method_); }
  /// The target as it was sent, without what has been erased.
  [[nodiscard]] std::string_view target() const noexcept { return view(target_); }
  /// The path as it was sent; begins with a slash, has no empty or dot segment, nothing escaped
  /// that would change its structure.
  [[nodiscard]] std::string_view raw_path() const noexcept {
    return path_.size == 0 ? std::string_view("/") : view(path_);
  }
  /// The path percent-decoded: UTF-8 without control characters; the slashes are those of
  /// `raw_path`.
  [[nodiscard]] std::string_view path() const noexcept {
    return decoded_path_.empty() ? raw_path() : std::string_view(decoded_path_);
  }
  /// What stands behind the question mark, not decoded; nothing if there is no question mark.
  [[nodiscard]] std::optional<std::string_view> query() const noexcept {
    return has_query_ ? std::optional(view(query_)) : std::nullopt;
  }
  /// 10 or 11.
  [[nodiscard]] int version() const noexcept { return version_; }
  /// The Host field; empty only with HTTP/1.0.
  [[nodiscard]] std::string_view host() const noexcept;

  [[nodiscard]] std::size_t field_count() const noexcept { return fields_.size(); }
  /// The field at `index` in the order of arrival; `index` must be less than `field_count()`.
  [[nodiscard]] Field field(std::size_t index) const noexcept;
  /// The value of the first field of that name; names compare without case.
  [[nodiscard]] std::optional<std::string_view> find(std::string_view name) const noexcept;
  /// All values of that name in order.
  [[nodiscard]] std::vector<std::string_view> find_all(std::string_view name) const;
  [[nodiscard]] std::size_t count(std::string_view name) const noexcept;

  /// The Content-Length, if there is one (it may be 0).
  [[nodiscard]] std::optional<std::uint64_t> body_bytes() const noexcept { return body_bytes_; }
  /// True if a chunked body follows.
  [[nodiscard]] bool chunked() const noexcept { return chunked_; }
  /// True if at least one byte of body follows the head.
  [[nodiscard]] bool has_body() const noexcept { return chunked_ || body_bytes_.value_or(0) > 0; }

  /// Bytes of heap memory, for accounting.
  [[nodiscard]] std::size_t memory_bytes() const noexcept;
  /// The head as text. Still a well-formed head after any `erase`. Holds credentials: never log it.
  [[nodiscard]] std::string_view text() const noexcept { return raw_; }

  // Each of these cuts bytes out of the head, wipes what is left of them, and returns how many
  // occurrences it removed. Afterwards earlier views are stale.

  /// Removes all fields of that name.
  std::size_t erase_field(std::string_view name);
  /// Removes the elements of the comma-separated fields of that name for which `matches` is true,
  /// and a field that has no element left.
  std::size_t erase_list_items(std::string_view name, bool (*matches)(std::string_view));
  /// Removes the cookies of that name (case-sensitive) from all Cookie fields, and an emptied
  /// field.
  std::size_t erase_cookie(std::string_view name);
  /// Removes the parameters whose decoded name is `name`, and the question mark behind which
  /// nothing is left.
  std::size_t erase_query_parameter(std::string_view name);

 private:
  friend class HeadReader;
  friend class HeadBuilder;

  struct Span {
    std::uint32_t begin = 0;
    std::uint32_t size = 0;
  };
  struct Entry {
    Span name;
    Span value;
  };

  [[nodiscard]] std::string_view view(Span span) const noexcept {
    return std::string_view(raw_).substr(span.begin, span.size);
  }
  void append(std::string_view data, std::size_t expected_size);
  void cut(std::size_t begin, std::size_t size) noexcept;
  void erase_line(std::size_t index);
  template <typename Matches>
  std::size_t erase_pieces(std::string_view name, char separator, const Matches& matches);
  void wipe() noexcept;

  std::string raw_;
  std::string decoded_path_;  // empty: the same as the raw path
  std::vector<Entry> fields_;
  Span method_;
  Span target_;
  Span path_;
  Span query_;
  std::optional<std::uint64_t> body_bytes_;
  int version_ = 0;
  bool has_query_ = false;
  bool chunked_ = false;
};

enum class HeadError {
  kTls,                 ///< begins like a TLS record: a wss client on a plain-text port
  kNotHttp,             ///< cannot become a request line
  kUnsupportedVersion,  ///< an HTTP version other than 1.0 and 1.1
  kBadTarget,           ///< see split_target
  kBadField,            ///< a field name, value, line ending or fold that RFC 9112 forbids
  kBadHost,             ///< no Host, several, a malformed one, or one that the target contradicts
  kBadLength,           ///< Content-Length or Transfer-Encoding malformed, repeated or both present
  kTooLarge,            ///< more than `header_bytes`: 431
  kTooManyFields,       ///< more than `fields`: 431
};

/// A fixed description for the log.
[[nodiscard]] std::string_view describe(HeadError error) noexcept;

/// True for what is answered by 431; all other errors are answered by 400.
[[nodiscard]] bool is_too_large(HeadError error) noexcept;

/// No configuration allows more; offsets within a head are 32 bits wide.
inline constexpr std::size_t kHeaderBytesMax = 16 * 1024 * 1024;

struct HeadLimits {
  std::size_t header_bytes = 16 * 1024;  ///< request line, fields and the final empty line
  std::size_t fields = 100;
};

/// Collects a request head from the pieces in which a socket delivers it. However the bytes are
/// cut, the result is the same, and what cannot become a valid head is refused at the byte that
/// shows it.
class HeadReader {
 public:
  explicit HeadReader(HeadLimits limits = {});

  /// Takes the next bytes. The value is empty while the head is incomplete; otherwise it is the
  /// number of bytes of `data` that belonged to the head, the rest being what the peer sent behind
  /// it. After an error or the end of the head, do not feed again: the answer is the first error,
  /// or 0 bytes.
  [[nodiscard]] std::expected<std::optional<std::size_t>, HeadError> feed(std::string_view data);

  /// Moves the head out; call once, after `feed` reported its end.
  [[nodiscard]] Head take();

  /// True once a byte has arrived.
  [[nodiscard]] bool started() const noexcept { return !head_.raw_.empty(); }

  /// After kTooLarge: the name of the field that took the most bytes so far, for log and metric.
  [[nodiscard]] std::string_view largest_field() const noexcept;

 private:
  enum class Phase : unsigned char { kMethod, kTarget, kVersion, kFields, kDone, kFailed };

  [[nodiscard]] std::expected<std::size_t, HeadError> scan(std::string_view data);
  [[nodiscard]] std::optional<HeadError> scan_request_line(char c);
  [[nodiscard]] std::optional<HeadError> scan_field_byte(char c);
  [[nodiscard]] std::size_t plain_run(std::string_view data) const noexcept;
  [[nodiscard]] std::optional<HeadError> parse();

  HeadLimits limits_;
  Head head_;
  std::size_t lines_ = 0;       // field lines begun
  std::uint32_t in_phase_ = 0;  // bytes of the current part of the request line
  Phase phase_ = Phase::kMethod;
  char previous_ = 0;  // the byte before, within the fields
  bool line_start_ = false;
  bool empty_line_ = false;  // the line in hand is the final one
  HeadError error_ = HeadError::kNotHttp;
};

}  // namespace sallyport::http
