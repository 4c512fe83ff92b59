#include "core/auth/permit.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "core/auth/access.h"
#include "core/ws/utf8.h"

namespace sallyport::auth {

bool valid_channel(std::string_view name) noexcept {
  if (name.empty() || name.size() > kChannelBytesMax) return false;
  const bool clean = std::none_of(name.begin(), name.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 || byte == 0x7F;
  });
  return clean && ws::valid_utf8(name);
}

std::expected<ChannelPattern, std::string> ChannelPattern::parse(std::string_view text) {
  const std::string quoted = "\"" + std::string(text) + "\": ";
  if (text.empty() || text.size() > kChannelBytesMax) {
    return std::unexpected(quoted + "a channel pattern has 1 to 255 bytes");
  }
  ChannelPattern pattern;
  std::string literal;
  const auto flush = [&] {
    if (!literal.empty()) pattern.parts_.push_back({Kind::kLiteral, std::exchange(literal, {})});
  };
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '*') {
      flush();
      if (!pattern.parts_.empty() && pattern.parts_.back().kind == Kind::kAny) {
        return std::unexpected(quoted + "two wildcards next to each other; one * is enough, and none crosses a slash");
      }
      pattern.parts_.push_back({Kind::kAny, {}});
    } else if (text[i] == '{') {
      const std::size_t end = text.find('}', i);
      if (end == std::string_view::npos) return std::unexpected(quoted + "a { without its }");
      const std::string_view name = text.substr(i + 1, end - i - 1);
      flush();
      if (name == "sub") {
        pattern.parts_.push_back({Kind::kSubject, {}});
      } else if (name.starts_with("param.") && name.size() > 6) {
        pattern.parts_.push_back({Kind::kParam, std::string(name.substr(6))});
      } else if (name.starts_with("claim.") && name.size() > 6) {
        pattern.parts_.push_back({Kind::kClaim, std::string(name.substr(6))});
      } else {
        return std::unexpected(quoted + "{" + std::string(name) +
                               "} is none of {sub}, {param.NAME}, {claim.NAME}");
      }
      i = end;
    } else if (text[i] == '}') {
      return std::unexpected(quoted + "a } without its {");
    } else {
      literal.push_back(text[i]);
    }
  }
  flush();
  return pattern;
}

bool ChannelPattern::matches(std::string_view channel, const Principal& who,
                             const ParamLookup& params) const {
  std::vector<Part> resolved;
  resolved.reserve(parts_.size());
  for (const Part& part : parts_) {
    if (part.kind == Kind::kLiteral || part.kind == Kind::kAny) {
      resolved.push_back(part);
      continue;
    }
    std::string value;
    if (part.kind == Kind::kSubject) value = who.subject.str();
    if (part.kind == Kind::kParam) value = std::string(params(part.text));
    if (part.kind == Kind::kClaim) value = who.claim(part.text).value_or("");
    if (value.empty() || value.find('/') != std::string::npos) return false;
    resolved.push_back({Kind::kLiteral, std::move(value)});
  }
  return match(resolved, channel);
}

bool ChannelPattern::needs_claims() const noexcept {
  return std::any_of(parts_.begin(), parts_.end(),
                     [](const Part& part) { return part.kind == Kind::kClaim; });
}

// A wildcard first takes one byte; where the rest does not fit, the last wildcard takes one more. No other
// has to give way: the bytes between two places where the text behind a wildcard fits hold no slash, so
// the next wildcard can take them as well. Time is bounded by the product of the two lengths, whatever
// the peer chooses as a channel.
bool ChannelPattern::match(const std::vector<Part>& parts, std::string_view channel) {
  std::size_t part = 0;
  std::size_t at = 0;
  std::optional<std::size_t> wildcard;
  std::size_t taken = 0;  // where the last wildcard's bytes end
  const auto extendable = [channel](std::size_t end) {
    return end < channel.size() && channel[end] != '/';
  };
  while (part < parts.size() || at < channel.size()) {
    const Part* const next = part < parts.size() ? &parts[part] : nullptr;
    if (next != nullptr && next->kind == Kind::kAny && extendable(at)) {
      wildcard = part++;
      taken = ++at;
    } else if (next != nullptr && next->kind == Kind::kLiteral &&
               channel.substr(at).starts_with(next->text)) {
      at += next->text.size();
      ++part;
    } else if (wildcard && extendable(taken)) {
      at = ++taken;
      part = *wildcard + 1;
    } else {
      return false;
    }
  }
  return true;
}

bool permitted(const std::vector<ChannelPermit>& permits, ChannelAction action,
               std::string_view channel, const Principal& who, const ParamLookup& params) {
  return std::any_of(permits.begin(), permits.end(), [&](const ChannelPermit& permit) {
    const bool listed = action == ChannelAction::kSubscribe ? permit.subscribe : permit.publish;
    return listed &&
           std::all_of(permit.scopes.begin(), permit.scopes.end(),
                       [&](const std::string& scope) { return who.has_scope(scope); }) &&
           permit.channel.matches(channel, who, params);
  });
}

}  // namespace sallyport::auth
