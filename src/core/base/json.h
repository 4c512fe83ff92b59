#pragma once

#include <array>
#include <boost/json/monotonic_resource.hpp>
#include <boost/json/storage_ptr.hpp>
#include <boost/json/value.hpp>
#include <cstddef>
#include <expected>
#include <string>
#include <string_view>

namespace sallyport::base {

enum class JsonError {
  kSyntax,           ///< not JSON (RFC 8259), invalid UTF-8 or trailing data included
  kTooLarge,         ///< longer than the limit
  kTooDeep,          ///< nested deeper than the limit
  kDuplicateMember,  ///< an object names a member twice (after unescaping)
  kNumberRange,      ///< a number that no finite double or 64-bit integer can hold
};

struct JsonLimits {
  std::size_t bytes = 8 * 1024;
  std::size_t depth = 8;  ///< arrays and objects within each other; the outermost counts as 1
};

/// Parses untrusted JSON strictly: what two parsers could understand differently is refused
/// (RFC 7515 section 4, RFC 8725 section 2.4). The value's memory comes from `storage`, which must
/// outlive it unless it is the default one.
[[nodiscard]] std::expected<boost::json::value, JsonError> parse_json(
    std::string_view text, JsonLimits limits = {}, const boost::json::storage_ptr& storage = {});

/// Memory for one small value: what fits costs no allocation. Pass `storage()` to `parse_json`.
class JsonScratch {
 public:
  JsonScratch() : resource_(bytes_.data(), bytes_.size()) {}
  JsonScratch(const JsonScratch&) = delete;
  JsonScratch& operator=(const JsonScratch&) = delete;
  [[nodiscard]] boost::json::storage_ptr storage() noexcept { return &resource_; }

 private:
  std::array<unsigned char, 4096> bytes_;
  boost::json::monotonic_resource resource_;
};

}  // namespace sallyport::base
