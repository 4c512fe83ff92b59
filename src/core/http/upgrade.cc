#include "core/http/upgrade.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "core/base/digest.h"
#include "core/http/grammar.h"

namespace sallyport::http {
namespace {

constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

// RFC 6455 section 4.2.1 item 5. 16 bytes are 22 characters and two of padding, and the last
// character carries two bits: only A, Q, g and w leave the other four clear.
bool is_key(std::string_view key) noexcept {
  if (key.size() != 24 || !key.ends_with("==")) return false;
  const auto in_alphabet = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/';
  };
  return std::ranges::all_of(key.substr(0, 21), in_alphabet) &&
         std::string_view("AQgw").find(key[21]) != std::string_view::npos;
}

// The elements of a comma-separated field over all its lines. Empty elements are skipped, as RFC
// 9110 section 5.6.1.2 demands, and anything that is not a token makes the answer empty.
std::optional<std::vector<std::string_view>> tokens_of(const Head& head, std::string_view name) {
  std::vector<std::string_view> tokens;
  for (std::size_t i = 0; i < head.field_count(); ++i) {
    const Head::Field field = head.field(i);
    if (!equals_ignoring_case(field.name, name)) continue;
    Splitter pieces(field.value, ',');
    while (const auto piece = pieces.next()) {
      if (piece->empty()) continue;
      if (!is_token(*piece)) return std::nullopt;
      tokens.push_back(*piece);
    }
  }
  return tokens;
}

bool upgrades_to_websocket_alone(const Head& head) {
  const auto tokens = tokens_of(head, "Upgrade");
  return tokens && tokens->size() == 1 && equals_ignoring_case(tokens->front(), "websocket");
}

bool connection_lists_upgrade(const Head& head) {
  const auto tokens = tokens_of(head, "Connection");
  return tokens && std::ranges::any_of(*tokens, [](std::string_view token) {
           return equals_ignoring_case(token, "upgrade");
         });
}

std::optional<UpgradeError> check_version(const Head& head) {
  if (head.count("Sec-WebSocket-Version") != 1) return UpgradeError::kVersion;
  const std::string_view version = *head.find("Sec-WebSocket-Version");
  if (version == "13") return std::nullopt;
  const bool number = !version.empty() && version.size() <= 3 &&
                      std::ranges::all_of(version, [](char c) { return c >= '0' && c <= '9'; });
  return number ? UpgradeError::kWrongVersion : UpgradeError::kVersion;
}

// Section 4.1 item 10 forbids duplicates; unlike elsewhere an empty element is refused too, since
// no client writes one.
std::optional<std::vector<std::string_view>> offered_protocols(const Head& head) {
  std::vector<std::string_view> items;
  for (std::size_t i = 0; i < head.field_count(); ++i) {
    const Head::Field field = head.field(i);
    if (!equals_ignoring_case(field.name, "Sec-WebSocket-Protocol")) continue;
    Splitter pieces(field.value, ',');
    while (const auto piece = pieces.next()) {
      if (!is_token(*piece) || items.size() == kSubprotocolsMax) return std::nullopt;
      if (std::ranges::find(items, *piece) != items.end()) return std::nullopt;
      items.push_back(*piece);
    }
  }
  return items;
}

std::string joined(const Head& head, std::string_view name) {
  std::string text;
  for (std::size_t i = 0; i < head.field_count(); ++i) {
    const Head::Field field = head.field(i);
    if (!equals_ignoring_case(field.name, name)) continue;
    if (!text.empty()) text += ", ";
    text += field.value;
  }
  return text;
}

std::array<char, 28> accept_for(std::string_view key) {
  std::string input(key);
  input += kGuid;
  const base::Sha1 digest = base::sha1(input);
  const std::string text =
      base::base64({reinterpret_cast<const char*>(digest.data()), digest.size()});
  std::array<char, 28> accept{};
  std::copy_n(text.begin(), std::min(text.size(), accept.size()), accept.begin());
  return accept;
}

}  // namespace

std::string_view describe(UpgradeError error) noexcept {
  switch (error) {
    case UpgradeError::kNotAnUpgrade:
      return "not an upgrade: no Upgrade field (a proxy may have removed it)";
    case UpgradeError::kWrongVersion:
      return "a WebSocket version other than 13";
    case UpgradeError::kMethod:
      return "an upgrade with a method other than GET";
    case UpgradeError::kHttpVersion:
      return "an upgrade below HTTP/1.1";
    case UpgradeError::kBody:
      return "an upgrade with a body";
    case UpgradeError::kUpgrade:
      return "an upgrade to something other than websocket alone";
    case UpgradeError::kConnection:
      return "Connection does not list upgrade (a proxy may have changed it)";
    case UpgradeError::kKey:
      return "a missing, repeated or malformed Sec-WebSocket-Key";
    case UpgradeError::kVersion:
      return "a missing, repeated or malformed Sec-WebSocket-Version";
    case UpgradeError::kProtocols:
      return "a malformed Sec-WebSocket-Protocol";
  }
  return "unknown";
}

bool wants_upgrade_required(UpgradeError error) noexcept {
  return error == UpgradeError::kNotAnUpgrade || error == UpgradeError::kWrongVersion;
}

std::expected<Upgrade, UpgradeError> validate_upgrade(const Head& head) {
  if (head.count("Upgrade") == 0) return std::unexpected(UpgradeError::kNotAnUpgrade);
  if (head.method() != "GET") return std::unexpected(UpgradeError::kMethod);
  if (head.version() < 11) return std::unexpected(UpgradeError::kHttpVersion);
  if (head.has_body()) return std::unexpected(UpgradeError::kBody);
  if (!upgrades_to_websocket_alone(head)) return std::unexpected(UpgradeError::kUpgrade);
  if (!connection_lists_upgrade(head)) return std::unexpected(UpgradeError::kConnection);
  if (const auto error = check_version(head)) return std::unexpected(*error);
  const bool one_key = head.count("Sec-WebSocket-Key") == 1;
  if (!one_key || !is_key(*head.find("Sec-WebSocket-Key"))) {
    return std::unexpected(UpgradeError::kKey);
  }
  const auto items = offered_protocols(head);
  if (!items) return std::unexpected(UpgradeError::kProtocols);
  return Upgrade{.accept = accept_for(*head.find("Sec-WebSocket-Key")),
                 .subprotocols = split_subprotocols(*items),
                 .extensions = joined(head, "Sec-WebSocket-Extensions")};
}

}  // namespace sallyport::http
