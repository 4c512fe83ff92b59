#include <algorithm>
#include <array>
#include <boost/beast/http/basic_parser.hpp>
#include <limits>

#include "core/base/assert.h"
#include "core/base/secret.h"
#include "core/http/grammar.h"
#include "core/http/head.h"
#include "core/http/target.h"

namespace sallyport::http {

namespace beast = boost::beast::http;
using boost::beast::error_code;
using boost::beast::string_view;

/// Receives what Beast's parser finds and turns it into offsets. The parser is given the complete
/// head in one piece, in which `HeadReader::scan` has excluded folds, so that every view it reports
/// lies within the head's own bytes.
class HeadBuilder final : public beast::basic_parser<true> {
 public:
  explicit HeadBuilder(Head& head) : head_(head) {
    header_limit(
        std::numeric_limits<std::uint32_t>::max());  // the reader's own limit has been applied
    skip(true);                                      // bodies are the caller's business
  }

 private:
  [[nodiscard]] Head::Span span(string_view text) const noexcept {
    const auto offset = static_cast<std::size_t>(text.data() - head_.raw_.data());
    SALLYPORT_ASSERT(offset <= head_.raw_.size());
    SALLYPORT_ASSERT(text.size() <= head_.raw_.size() - offset);
    return {.begin = static_cast<std::uint32_t>(offset),
            .size = static_cast<std::uint32_t>(text.size())};
  }

  void on_request_impl(beast::verb, string_view method, string_view target, int version,
                       error_code&) override {
    head_.method_ = span(method);
    head_.target_ = span(target);
    head_.version_ = version;
  }
  void on_field_impl(beast::field, string_view name, string_view value, error_code&) override {
    head_.fields_.push_back({.name = span(name), .value = span(value)});
  }
  void on_response_impl(int, string_view, int, error_code&) override {}
  void on_header_impl(error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  std::size_t on_body_impl(string_view, error_code&) override { return 0; }
  void on_chunk_header_impl(std::uint64_t, string_view, error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, string_view, error_code&) override { return 0; }
  void on_finish_impl(error_code&) override {}

  Head& head_;
};

namespace {

constexpr std::size_t kFirstBytes = 1024;

// Longer than any registered method; what is longer is not a method but garbage.
constexpr std::uint32_t kMethodBytesMax = 32;

constexpr std::string_view kVersionPrefix = "HTTP/1.";

HeadError error_of(error_code error) {
  switch (static_cast<beast::error>(error.value())) {
    case beast::error::bad_method:
      return HeadError::kNotHttp;
    case beast::error::bad_target:
      return HeadError::kBadTarget;
    case beast::error::bad_version:
      return HeadError::kUnsupportedVersion;
    case beast::error::bad_content_length:
    case beast::error::multiple_content_length:
    case beast::error::bad_transfer_encoding:
      return HeadError::kBadLength;
    default:  // a library's enum: what it adds is refused as well
      return HeadError::kBadField;
  }
}

// RFC 9112 section 3.2: exactly one Host in HTTP/1.1, and the authority of an absolute target is
// the one that the request is for. A difference is a request that two servers would route
// differently.
bool host_is_consistent(const Head& head, std::string_view authority) {
  const std::size_t hosts = head.count("Host");
  if (hosts > 1 || (hosts == 0 && head.version() >= 11)) return false;
  if (hosts == 0) return authority.empty();
  if (!is_authority(head.host())) return false;
  return authority.empty() || equals_ignoring_case(authority, head.host());
}

// Stricter than Beast: no repeated length even if it repeats the same number, no list of codings,
// no chunked coding in HTTP/1.0 (RFC 9112 sections 6.1 and 6.3).
std::expected<std::optional<std::uint64_t>, HeadError> content_length(const Head& head) {
  const std::size_t lengths = head.count("Content-Length");
  const std::size_t codings = head.count("Transfer-Encoding");
  if (lengths + codings > 1) return std::unexpected(HeadError::kBadLength);
  if (codings == 1) {
    const bool fine =
        head.version() >= 11 && equals_ignoring_case(*head.find("Transfer-Encoding"), "chunked");
    if (!fine) return std::unexpected(HeadError::kBadLength);
  }
  if (lengths == 0) return std::nullopt;
  const std::string_view text = *head.find("Content-Length");
  std::uint64_t value = 0;
  if (text.empty() || text.size() > 18) return std::unexpected(HeadError::kBadLength);
  for (const char c : text) {
    if (c < '0' || c > '9') return std::unexpected(HeadError::kBadLength);
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return value;
}

// Bytes within a field line that change nothing in the scanner's state.
constexpr auto kPlainFieldByte = [] {
  std::array<bool, 256> table{};
  for (unsigned c = 0x20; c <= 0xff; ++c) table[c] = c != 0x7f;
  table['\t'] = true;
  return table;
}();

}  // namespace

HeadReader::HeadReader(HeadLimits limits) : limits_(limits) {
  limits_.header_bytes = std::min(limits_.header_bytes, kHeaderBytesMax);
}

std::string_view describe(HeadError error) noexcept {
  switch (error) {
    case HeadError::kTls:
      return "a TLS handshake on a plain-text listener";
    case HeadError::kNotHttp:
      return "not an HTTP request";
    case HeadError::kUnsupportedVersion:
      return "an HTTP version other than 1.0 and 1.1";
    case HeadError::kBadTarget:
      return "a malformed request target";
    case HeadError::kBadField:
      return "a malformed header field";
    case HeadError::kBadHost:
      return "a missing, repeated, malformed or contradicted Host";
    case HeadError::kBadLength:
      return "a malformed or ambiguous body length";
    case HeadError::kTooLarge:
      return "a request head over the size limit";
    case HeadError::kTooManyFields:
      return "too many header fields";
  }
  return "unknown";
}

bool is_too_large(HeadError error) noexcept {
  return error == HeadError::kTooLarge || error == HeadError::kTooManyFields;
}

std::expected<std::optional<std::size_t>, HeadError> HeadReader::feed(std::string_view data) {
  if (phase_ == Phase::kFailed) return std::unexpected(error_);
  if (phase_ == Phase::kDone) return std::size_t{0};
  const std::size_t room = limits_.header_bytes - head_.raw_.size();
  const auto fail = [&](HeadError error) {
    phase_ = Phase::kFailed;
    error_ = error;
    return std::unexpected(error);
  };

  const auto used = scan(data.substr(0, room));
  if (!used) return fail(used.error());
  // A head that came in one piece takes exactly its size; another gets room to grow.
  const std::size_t room_to_grow = phase_ == Phase::kDone ? 0 : kFirstBytes;
  head_.append(data.substr(0, *used), std::min(limits_.header_bytes, room_to_grow));
  if (phase_ != Phase::kDone) {
    // The limit's last byte has come and the head goes on: it can only be too large.
    if (head_.raw_.size() >= limits_.header_bytes) return fail(HeadError::kTooLarge);
    return std::nullopt;
  }
  if (const auto error = parse()) return fail(*error);
  return *used;
}

Head HeadReader::take() {
  SALLYPORT_ASSERT(phase_ == Phase::kDone);
  return std::move(head_);
}

// Returns how many bytes of `data` belong to the head; all of them unless it ends within `data`.
std::expected<std::size_t, HeadError> HeadReader::scan(std::string_view data) {
  std::size_t i = 0;
  while (i < data.size()) {
    if (phase_ == Phase::kFields) {
      const std::size_t run = plain_run(data.substr(i));
      if (run > 0) {
        i += run;
        previous_ = data[i - 1];
        continue;
      }
    }
    const char c = data[i++];
    const auto error = phase_ == Phase::kFields ? scan_field_byte(c) : scan_request_line(c);
    if (error) return std::unexpected(*error);
    if (phase_ == Phase::kDone) break;
  }
  return i;
}

std::size_t HeadReader::plain_run(std::string_view data) const noexcept {
  if (line_start_ || previous_ == '\r') return 0;
  std::size_t size = 0;
  while (size < data.size() && kPlainFieldByte[static_cast<unsigned char>(data[size])]) ++size;
  return size;
}

std::optional<HeadError> HeadReader::scan_request_line(char c) {
  const std::uint32_t position = in_phase_++;
  switch (phase_) {
    case Phase::kMethod:
      if (c == ' ' && position > 0) {
        phase_ = Phase::kTarget;
        in_phase_ = 0;
        return std::nullopt;
      }
      if (position == 0 && c == '\x16') return HeadError::kTls;
      if (!is_token_char(c) || position >= kMethodBytesMax) return HeadError::kNotHttp;
      return std::nullopt;
    case Phase::kTarget:
      if (c == ' ' && position > 0) {
        phase_ = Phase::kVersion;
        in_phase_ = 0;
        return std::nullopt;
      }
      // A slash, or the first letter of http, https, ws and wss.
      if (position == 0 && std::string_view("/hHwW").find(c) == std::string_view::npos) {
        return HeadError::kBadTarget;
      }
      return is_target_char(c) ? std::nullopt : std::optional(HeadError::kBadTarget);
    case Phase::kVersion:
      if (position < kVersionPrefix.size()) {
        if (c == kVersionPrefix[position]) return std::nullopt;
        const bool other = position >= 5;  // "HTTP/" and then another number
        return other ? HeadError::kUnsupportedVersion : HeadError::kNotHttp;
      }
      if (position == kVersionPrefix.size()) {
        return c == '0' || c == '1' ? std::nullopt : std::optional(HeadError::kUnsupportedVersion);
      }
      if (position == kVersionPrefix.size() + 1) {
        return c == '\r' ? std::nullopt : std::optional(HeadError::kUnsupportedVersion);
      }
      if (c != '\n') return HeadError::kNotHttp;
      phase_ = Phase::kFields;
      line_start_ = true;
      previous_ = c;
      return std::nullopt;
    case Phase::kFields:
    case Phase::kDone:
    case Phase::kFailed:
      break;
  }
  return HeadError::kNotHttp;
}

// Lines end with CR LF and nothing else, no line begins with white space (obs-fold, RFC 9112
// section 5.2), and no control character stands in one. Names and values are left to Beast.
std::optional<HeadError> HeadReader::scan_field_byte(char c) {
  const char previous = previous_;
  previous_ = c;
  if (previous == '\r') {
    if (c != '\n') return HeadError::kBadField;
    if (empty_line_) phase_ = Phase::kDone;
    line_start_ = true;
    return std::nullopt;
  }
  if (c == '\r') {
    empty_line_ = line_start_;
    line_start_ = false;
    return std::nullopt;
  }
  if (line_start_) {
    line_start_ = false;
    if (!is_token_char(c)) return HeadError::kBadField;
    if (++lines_ > limits_.fields) return HeadError::kTooManyFields;
    return std::nullopt;
  }
  return kPlainFieldByte[static_cast<unsigned char>(c)] ? std::nullopt
                                                        : std::optional(HeadError::kBadField);
}

std::optional<HeadError> HeadReader::parse() {
  head_.fields_.reserve(lines_);
  HeadBuilder builder(head_);
  error_code error;
  const std::size_t parsed = builder.put({head_.raw_.data(), head_.raw_.size()}, error);
  if (error) return error_of(error);
  if (parsed != head_.raw_.size() || !builder.is_header_done()) return HeadError::kBadField;

  const auto parts = split_target(head_.target());
  if (!parts) return HeadError::kBadTarget;
  const auto span = [&](std::size_t begin, std::size_t size) {
    return Head::Span{.begin = static_cast<std::uint32_t>(head_.target_.begin + begin),
                      .size = static_cast<std::uint32_t>(size)};
  };
  head_.path_ = span(parts->path, parts->path_size);
  head_.has_query_ = parts->has_query;
  if (parts->has_query) head_.query_ = span(parts->query, parts->query_size);
  if (parts->escaped_path) {
    head_.decoded_path_ = percent_decode(head_.raw_path(), Plus::kIsPlus).value_or(std::string());
    if (head_.decoded_path_.empty()) return HeadError::kBadTarget;
  }
  if (!host_is_consistent(head_, head_.target().substr(parts->authority, parts->authority_size))) {
    return HeadError::kBadHost;
  }
  const auto length = content_length(head_);
  if (!length) return length.error();
  head_.body_bytes_ = *length;
  head_.chunked_ = head_.count("Transfer-Encoding") > 0;
  return std::nullopt;
}

std::string_view HeadReader::largest_field() const noexcept {
  std::string_view rest = head_.raw_;
  std::string_view largest;
  std::size_t largest_size = 0;
  std::size_t end = rest.find('\n');  // the request line is no field
  while (end != std::string_view::npos) {
    rest.remove_prefix(end + 1);
    end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    const std::size_t colon = line.find(':');
    const std::string_view name = line.substr(0, colon);
    if (colon == std::string_view::npos || !is_token(name) || line.size() <= largest_size) continue;
    largest = name;
    largest_size = line.size();
  }
  return largest;
}

}  // namespace sallyport::http
