#pragma once

#include <cstddef>
#include <expected>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "sallyport/principal.h"

namespace sallyport::auth {

inline constexpr std::size_t kChannelBytesMax = 255;

/// True for a name that may be a channel: 1 to 255 bytes of UTF-8 without control characters.
[[nodiscard]] bool valid_channel(std::string_view name) noexcept;

/// Looks a route parameter up; empty if there is none of that name.
using ParamLookup = std::function<std::string_view(std::string_view name)>;

/// A pattern for channel names: literals, `*` (one or more characters, never a slash), `{param.NAME}`,
/// `{sub}`, `{claim.NAME}`. A substituted value must be non-empty and free of slashes: a claim whose text a
/// user can choose must not reach into another level. Immutable.
class ChannelPattern {
 public:
  /// The error says what is wrong with the text.
  [[nodiscard]] static std::expected<ChannelPattern, std::string> parse(std::string_view text);

  [[nodiscard]] bool matches(std::string_view channel, const Principal& who,
                             const ParamLookup& params) const;
  /// True if `{claim.NAME}` is in it.
  [[nodiscard]] bool needs_claims() const noexcept;

 private:
  enum class Kind { kLiteral, kAny, kParam, kSubject, kClaim };
  struct Part {
    Kind kind;
    std::string text;
  };
  [[nodiscard]] static bool match(const std::vector<Part>& parts, std::string_view channel);
  std::vector<Part> parts_;
};

struct ChannelPermit {
  bool subscribe = false;
  bool publish = false;
  ChannelPattern channel;
  std::vector<std::string> scopes;
};

enum class ChannelAction { kSubscribe, kPublish };

/// True if one of the permits allows it. No permits: nothing is allowed.
[[nodiscard]] bool permitted(const std::vector<ChannelPermit>& permits, ChannelAction action,
                             std::string_view channel, const Principal& who,
                             const ParamLookup& params);

}  // namespace sallyport::auth
