#include "core/ws/negotiation.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace sallyport::ws {
namespace {

constexpr std::string_view kName = "permessage-deflate";
constexpr int kZlibWindowBitsMin = 9;

struct Parameter {
  std::string_view name;
  std::optional<std::string> value;
};
struct Extension {
  std::string_view name;
  std::vector<Parameter> parameters;
};

bool is_token_char(char c) noexcept {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
         (c != '\0' && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos);
}

// The grammar of RFC 6455 section 9.1 with the list rule of RFC 9110 section 5.6.1.2: empty
// elements are skipped.
class ExtensionParser {
 public:
  explicit ExtensionParser(std::string_view text) noexcept : text_(text) {}

  std::expected<std::vector<Extension>, NegotiationError> parse() {
    std::vector<Extension> extensions;
    while (true) {
      skip_space();
      if (done()) break;
      if (take(',')) continue;
      if (++count_ > kExtensionsMax) return std::unexpected(NegotiationError::kTooMany);
      Extension extension{.name = token(), .parameters = {}};
      if (extension.name.empty()) return std::unexpected(NegotiationError::kSyntax);
      for (skip_space(); take(';'); skip_space()) {
        if (++count_ > kExtensionsMax) return std::unexpected(NegotiationError::kTooMany);
        if (!parameter(extension)) return std::unexpected(NegotiationError::kSyntax);
      }
      extensions.push_back(std::move(extension));
      if (!done() && !take(',')) return std::unexpected(NegotiationError::kSyntax);
    }
    return extensions;
  }

 private:
  [[nodiscard]] bool done() const noexcept { return at_ == text_.size(); }
  void skip_space() noexcept {
    while (!done() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
  }
  bool take(char c) noexcept {
    if (done() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  std::string_view token() noexcept {
    const std::size_t begin = at_;
    while (!done() && is_token_char(text_[at_])) ++at_;
    return text_.substr(begin, at_ - begin);
  }
  bool parameter(Extension& extension) {
    skip_space();
    Parameter parameter{.name = token(), .value = std::nullopt};
    if (parameter.name.empty()) return false;
    skip_space();
    if (take('=')) {
      skip_space();
      parameter.value = take('"') ? quoted() : std::string(token());
      if (!parameter.value || parameter.value->empty()) return false;
    }
    extension.parameters.push_back(std::move(parameter));
    return true;
  }
  // What stands between the quotes must be a token once the backslashes are gone.
  std::optional<std::string> quoted() {
    std::string value;
    while (!take('"')) {
      take('\\');
      if (done() || !is_token_char(text_[at_])) return std::nullopt;
      value.push_back(text_[at_++]);
    }
    return value;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  int count_ = 0;
};

// 8 to 15 without leading zeros (RFC 7692 section 7.1.2).
std::optional<int> window_of(const std::string& text) noexcept {
  if (text == "8") return 8;
  if (text == "9") return 9;
  if (text.size() == 2 && text[0] == '1' && text[1] >= '0' && text[1] <= '5') {
    return 10 + (text[1] - '0');
  }
  return std::nullopt;
}

// The four parameters that there are (RFC 7692 section 7.1). A window without a value is 0.
struct Parameters {
  bool server_no_context_takeover = false;
  bool client_no_context_takeover = false;
  std::optional<int> server_max_window_bits;
  std::optional<int> client_max_window_bits;
};

bool set_flag(const Parameter& parameter, bool& flag) noexcept {
  if (flag || parameter.value) return false;
  return flag = true;
}

bool set_window(const Parameter& parameter, bool value_required,
                std::optional<int>& window) noexcept {
  if (window) return false;
  if (!parameter.value) {
    window = 0;
    return !value_required;
  }
  window = window_of(*parameter.value);
  return window.has_value();
}

// Nothing if a parameter is unknown, doubled or has a value that it may not have.
std::optional<Parameters> read(const Extension& extension) noexcept {
  Parameters read;
  for (const Parameter& parameter : extension.parameters) {
    bool good = false;
    if (parameter.name == "server_no_context_takeover") {
      good = set_flag(parameter, read.server_no_context_takeover);
    } else if (parameter.name == "client_no_context_takeover") {
      good = set_flag(parameter, read.client_no_context_takeover);
    } else if (parameter.name == "server_max_window_bits") {
      good = set_window(parameter, true, read.server_max_window_bits);
    } else if (parameter.name == "client_max_window_bits") {
      good = set_window(parameter, false, read.client_max_window_bits);
    }
    if (!good) return std::nullopt;
  }
  return read;
}

}  // namespace

std::expected<std::optional<DeflateAgreement>, NegotiationError> accept_offer(
    std::string_view extensions, int window_bits) {
  const auto offers = ExtensionParser(extensions).parse();
  if (!offers) return std::unexpected(offers.error());
  for (const Extension& offer : *offers) {
    if (offer.name != kName) continue;
    const auto parameters = read(offer);
    if (!parameters) continue;
    const int allowed = parameters->server_max_window_bits.value_or(15);
    // zlib cannot deflate with a window of 256 bytes, so an offer that asks for it is passed over.
    if (allowed < kZlibWindowBitsMin) continue;
    // client_max_window_bits needs no answer: inflating takes the largest window, shared by all.
    DeflateAgreement agreement{.window_bits = std::min(allowed, window_bits),
                               .response = std::string(kDeflateOffer)};
    if (parameters->server_max_window_bits) {
      agreement.response += "; server_max_window_bits=" + std::to_string(agreement.window_bits);
    }
    return agreement;
  }
  return std::nullopt;
}

std::expected<std::optional<DeflateAgreement>, NegotiationError> accept_response(
    std::string_view extensions, int window_bits) {
  const auto answers = ExtensionParser(extensions).parse();
  if (!answers) return std::unexpected(answers.error());
  if (answers->empty()) return std::nullopt;
  if (answers->size() != 1 || answers->front().name != kName) {
    return std::unexpected(NegotiationError::kNotOffered);
  }
  const auto parameters = read(answers->front());
  // The offer asked for server_no_context_takeover, so an answer without it does not accept the
  // offer (RFC 7692 section 7.1.1.1).
  if (!parameters || !parameters->server_no_context_takeover) {
    return std::unexpected(NegotiationError::kBadParameter);
  }
  if (parameters->client_max_window_bits) return std::unexpected(NegotiationError::kNotOffered);
  return DeflateAgreement{.window_bits = window_bits, .response = {}};
}

}  // namespace sallyport::ws
