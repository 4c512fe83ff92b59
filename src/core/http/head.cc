#include "core/http/head.h"

#include <algorithm>
#include <cstring>

#include "core/base/assert.h"
#include "core/base/secret.h"
#include "core/http/grammar.h"

namespace sallyport::http {

Head::~Head() {
  wipe();
}

Head& Head::operator=(Head&& other) noexcept {
  if (this == &other) return *this;
  wipe();
  raw_ = std::move(other.raw_);
  decoded_path_ = std::move(other.decoded_path_);
  fields_ = std::move(other.fields_);
  method_ = other.method_;
  target_ = other.target_;
  path_ = other.path_;
  query_ = other.query_;
  body_bytes_ = other.body_bytes_;
  version_ = other.version_;
  has_query_ = other.has_query_;
  chunked_ = other.chunked_;
  other.wipe();
  return *this;
}

Head Head::copy() const {
  Head result;
  result.raw_ = raw_;
  result.decoded_path_ = decoded_path_;
  result.fields_ = fields_;
  result.method_ = method_;
  result.target_ = target_;
  result.path_ = path_;
  result.query_ = query_;
  result.body_bytes_ = body_bytes_;
  result.version_ = version_;
  result.has_query_ = has_query_;
  result.chunked_ = chunked_;
  return result;
}

void Head::wipe() noexcept {
  base::wipe(raw_.data(), raw_.size());
  base::wipe(decoded_path_.data(), decoded_path_.size());
  raw_.clear();
  decoded_path_.clear();
  fields_.clear();
}

std::string_view Head::host() const noexcept {
  return find("Host").value_or(std::string_view());
}

Head::Field Head::field(std::size_t index) const noexcept {
  SALLYPORT_ASSERT(index < fields_.size());
  return {.name = view(fields_[index].name), .value = view(fields_[index].value)};
}

std::optional<std::string_view> Head::find(std::string_view name) const noexcept {
  for (const Entry& entry : fields_) {
    if (equals_ignoring_case(view(entry.name), name)) return view(entry.value);
  }
  return std::nullopt;
}

std::vector<std::string_view> Head::find_all(std::string_view name) const {
  std::vector<std::string_view> values;
  for (const Entry& entry : fields_) {
    if (equals_ignoring_case(view(entry.name), name)) values.push_back(view(entry.value));
  }
  return values;
}

std::size_t Head::count(std::string_view name) const noexcept {
  return static_cast<std::size_t>(std::ranges::count_if(
      fields_, [&](const Entry& entry) { return equals_ignoring_case(view(entry.name), name); }));
}

std::size_t Head::memory_bytes() const noexcept {
  const std::size_t decoded = decoded_path_.empty() ? 0 : decoded_path_.capacity();
  return raw_.capacity() + decoded + fields_.capacity() * sizeof(Entry);
}

// Growing a std::string leaves the old bytes in freed memory, so growing is done by hand.
void Head::append(std::string_view data, std::size_t expected_size) {
  const std::size_t size = raw_.size() + data.size();
  if (size > raw_.capacity()) {
    std::string larger;
    larger.reserve(std::max({size, expected_size, raw_.empty() ? 0 : raw_.capacity() * 2}));
    larger.append(raw_);
    base::wipe(raw_.data(), raw_.size());
    raw_ = std::move(larger);
  }
  raw_.append(data);
}

// Removes [begin, begin + size) and moves every offset behind it. A span that contains the cut
// shrinks; a span within the cut must have been dropped by the caller.
void Head::cut(std::size_t begin, std::size_t size) noexcept {
  SALLYPORT_ASSERT(begin <= raw_.size());
  SALLYPORT_ASSERT(size <= raw_.size() - begin);
  if (size == 0) return;
  char* const at = raw_.data() + begin;
  std::memmove(at, at + size, raw_.size() - begin - size);
  base::wipe(raw_.data() + (raw_.size() - size), size);
  raw_.resize(raw_.size() - size);

  const auto adjust = [&](Span& span) {
    if (span.begin >= begin + size) {
      span.begin -= static_cast<std::uint32_t>(size);
    } else if (span.begin <= begin && std::size_t{span.begin} + span.size >= begin + size) {
      span.size -= static_cast<std::uint32_t>(size);
    }
  };
  for (Span* const span : {&method_, &target_, &path_, &query_}) adjust(*span);
  for (Entry& entry : fields_) {
    adjust(entry.name);
    adjust(entry.value);
  }
}

void Head::erase_line(std::size_t index) {
  const std::size_t begin = fields_[index].name.begin;
  const std::size_t end = raw_.find('\n', fields_[index].value.begin + fields_[index].value.size);
  SALLYPORT_ASSERT(end != std::string::npos);
  fields_.erase(fields_.begin() + static_cast<std::ptrdiff_t>(index));
  cut(begin, end + 1 - begin);
}

std::size_t Head::erase_field(std::string_view name) {
  std::size_t erased = 0;
  for (std::size_t i = fields_.size(); i-- > 0;) {
    if (!equals_ignoring_case(view(fields_[i].name), name)) continue;
    erase_line(i);
    ++erased;
  }
  return erased;
}

template <typename Matches>
std::size_t Head::erase_pieces(std::string_view name, char separator, const Matches& matches) {
  std::size_t erased = 0;
  for (std::size_t i = fields_.size(); i-- > 0;) {
    if (!equals_ignoring_case(view(fields_[i].name), name)) continue;
    const Span span = fields_[i].value;
    std::size_t erased_here = 0;
    Splitter counting(view(span), separator);
    while (const auto piece = counting.next()) erased_here += matches(*piece) ? 1 : 0;
    if (erased_here == 0) continue;
    // What remains is put together in place, from left to right: it never grows.
    char* const value = raw_.data() + span.begin;
    std::size_t kept = 0;
    Splitter pieces(view(span), separator);
    while (const auto piece = pieces.next()) {
      if (matches(*piece) || piece->empty()) continue;
      if (kept > 0) {
        value[kept++] = separator;
        if (value + kept < piece->data()) value[kept++] = ' ';
      }
      std::memmove(value + kept, piece->data(), piece->size());
      kept += piece->size();
    }
    erased += erased_here;
    if (kept == 0) {
      erase_line(i);
    } else {
      cut(span.begin + kept, span.size - kept);
    }
  }
  return erased;
}

std::size_t Head::erase_list_items(std::string_view name, bool (*matches)(std::string_view)) {
  return erase_pieces(name, ',', matches);
}

std::size_t Head::erase_cookie(std::string_view name) {
  return erase_pieces("Cookie", ';', [&](std::string_view pair) {
    const std::size_t equals = pair.find('=');
    return equals != std::string_view::npos && trim(pair.substr(0, equals)) == name;
  });
}

std::size_t Head::erase_query_parameter(std::string_view name) {
  std::size_t erased = 0;
  std::size_t begin = 0;  // within the query
  while (has_query_ && begin <= query_.size) {
    const std::string_view query = view(query_);
    const std::size_t end = std::min(query.find('&', begin), query.size());
    const std::string_view pair = query.substr(begin, end - begin);
    const auto decoded = percent_decode(pair.substr(0, pair.find('=')), Plus::kIsSpace);
    // An empty piece (as in "a&&b") is no parameter, not even one without a name.
    if (pair.empty() || decoded != name) {
      begin = end + 1;
      continue;
    }
    ++erased;
    if (end < query.size()) {
      cut(query_.begin + begin, pair.size() + 1);  // with the & behind it
    } else if (begin > 0) {
      cut(query_.begin + begin - 1, pair.size() + 1);  // with the & before it
    } else {
      const Span query_span = query_;
      query_ = {};
      has_query_ = false;
      cut(query_span.begin - 1, query_span.size + std::size_t{1});  // with the question mark
    }
  }
  return erased;
}

}  // namespace sallyport::http
