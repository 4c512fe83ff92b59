#include "core/base/json.h"

#include <array>
#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/error.hpp>
#include <boost/json/parse_options.hpp>
#include <boost/json/value_stack.hpp>
#include <cmath>
#include <cstdint>
#include <utility>

namespace sallyport::base {
namespace {

namespace json = boost::json;

// Receives the parser's events. It differs from the library's own handler in two ways: it counts
// the members it sees, and it refuses a number that became infinite.
class Builder {
 public:
  static constexpr std::size_t max_object_size = json::object::max_size();
  static constexpr std::size_t max_array_size = json::array::max_size();
  static constexpr std::size_t max_key_size = json::string::max_size();
  static constexpr std::size_t max_string_size = json::string::max_size();

  explicit Builder(const json::storage_ptr& storage)
      : stack_({}, scratch_.data(), scratch_.size()) {
    stack_.reset(storage);
  }

  [[nodiscard]] std::size_t members() const noexcept { return members_; }
  [[nodiscard]] json::value release() { return stack_.release(); }

  bool on_document_begin(json::error_code&) { return true; }
  bool on_document_end(json::error_code&) { return true; }
  bool on_object_begin(json::error_code&) { return true; }
  bool on_object_end(std::size_t n, json::error_code&) {
    stack_.push_object(n);
    return true;
  }
  bool on_array_begin(json::error_code&) { return true; }
  bool on_array_end(std::size_t n, json::error_code&) {
    stack_.push_array(n);
    return true;
  }
  bool on_key_part(json::string_view part, std::size_t, json::error_code&) {
    stack_.push_chars(part);
    return true;
  }
  bool on_key(json::string_view part, std::size_t, json::error_code&) {
    stack_.push_key(part);
    ++members_;
    return true;
  }
  bool on_string_part(json::string_view part, std::size_t, json::error_code&) {
    stack_.push_chars(part);
    return true;
  }
  bool on_string(json::string_view part, std::size_t, json::error_code&) {
    stack_.push_string(part);
    return true;
  }
  bool on_number_part(json::string_view, json::error_code&) { return true; }
  bool on_int64(std::int64_t number, json::string_view, json::error_code&) {
    stack_.push_int64(number);
    return true;
  }
  bool on_uint64(std::uint64_t number, json::string_view, json::error_code&) {
    stack_.push_uint64(number);
    return true;
  }
  bool on_double(double number, json::string_view, json::error_code& error) {
    if (!std::isfinite(number)) {
      error = json::error::exponent_overflow;
      return false;
    }
    stack_.push_double(number);
    return true;
  }
  bool on_bool(bool value, json::error_code&) {
    stack_.push_bool(value);
    return true;
  }
  bool on_null(json::error_code&) {
    stack_.push_null();
    return true;
  }
  bool on_comment_part(json::string_view, json::error_code&) { return true; }
  bool on_comment(json::string_view, json::error_code&) { return true; }

 private:
  std::array<unsigned char, 2048> scratch_;  // enough for a token's claims without an allocation
  json::value_stack stack_;
  std::size_t members_ = 0;
};

// The recursion is as deep as the document, which the parser has limited.
std::size_t count_members(const json::value& value) {
  std::size_t count = 0;
  if (const json::object* const object = value.if_object()) {
    count = object->size();
    for (const auto& member : *object) count += count_members(member.value());
  } else if (const json::array* const array = value.if_array()) {
    for (const json::value& element : *array) count += count_members(element);
  }
  return count;
}

JsonError error_of(const json::error_code& code) {
  if (code == json::error::too_deep) return JsonError::kTooDeep;
  if (code == json::error::exponent_overflow) return JsonError::kNumberRange;
  return JsonError::kSyntax;
}

}  // namespace

std::expected<json::value, JsonError> parse_json(std::string_view text, JsonLimits limits,
                                                 const json::storage_ptr& storage) {
  if (text.size() > limits.bytes) return std::unexpected(JsonError::kTooLarge);
  json::parse_options options;
  options.max_depth = limits.depth;
  json::basic_parser<Builder> parser(options, storage);
  json::error_code error;
  const std::size_t used = parser.write_some(false, text.data(), text.size(), error);
  if (error) return std::unexpected(error_of(error));
  if (used != text.size()) return std::unexpected(JsonError::kSyntax);
  json::value value = parser.handler().release();
  // An object keeps one of several members of the same name, so a shortfall means a duplicate. This
  // costs one pass over the finished value and no table of names.
  if (count_members(value) != parser.handler().members()) {
    return std::unexpected(JsonError::kDuplicateMember);
  }
  return value;
}

}  // namespace sallyport::base
