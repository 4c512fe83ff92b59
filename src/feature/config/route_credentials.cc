#include "feature/config/route_credentials.h"

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/http/grammar.h"
#include "feature/config/spelling.h"

namespace sallyport::config {
namespace {

struct Named {
  CredentialKind kind;
  std::string_view prefix;
};
constexpr std::array<Named, 2> kNamed{
    {{CredentialKind::kCookie, "cookie:"}, {CredentialKind::kInsecureQuery, "insecure_query:"}}};
constexpr std::array<CredentialKind, 3> kPlain{
    CredentialKind::kHeader, CredentialKind::kSubprotocol, CredentialKind::kFirstMessage};

std::optional<CredentialSet> parse_named(Section& section, const PlacedText& text) {
  for (const Named& named : kNamed) {
    if (!text.value.starts_with(named.prefix)) continue;
    const std::string name = text.value.substr(named.prefix.size());
    // A cookie's name is a token (RFC 6265 section 4.1.1); a parameter's needs no other characters.
    if (http::is_token(name)) return CredentialSet(named.kind, name);
    section.error(text.line, "credentials: " + in_quotes(text.value) +
                                 " needs a name of letters, digits and -_.~ behind the colon");
    return std::nullopt;
  }
  return std::nullopt;
}

void report_unknown(Section& section, const PlacedText& text) {
  const std::string words[] = {"header", "subprotocol", "first_message", "cookie:NAME",
                               "insecure_query:NAME"};
  std::string hint;
  if (text.value == "cookie" || text.value == "insecure_query") {
    hint = "; write \"" + text.value + ":NAME\"";
  } else {
    hint = did_you_mean(text.value, words);
  }
  section.error(text.line, "credentials: " + in_quotes(text.value) + " is not one of " +
                               alternatives(words) + hint);
}

std::optional<CredentialSet> parse(Section& section, const PlacedText& text) {
  if (text.value == "ticket" || text.value == "certificate") {
    section.error(text.line, not_available("credentials " + in_quotes(text.value)));
    return std::nullopt;
  }
  for (const CredentialKind kind : kPlain) {
    if (text.value == name(kind)) return CredentialSet(kind);
  }
  for (const Named& named : kNamed) {
    if (text.value.starts_with(named.prefix)) return parse_named(section, text);
  }
  report_unknown(section, text);
  return std::nullopt;
}

}  // namespace

void read_credentials(Section& section, CredentialSet& target) {
  const auto texts = section.read_texts("credentials");
  if (!texts) return;
  if (texts->empty()) {
    section.error(
        section.line_of("credentials"),
        "credentials must not be empty: no credential would be accepted; leave it out for "
        "\"header\", \"subprotocol\" and \"first_message\"");
    return;
  }
  CredentialSet all;
  for (const PlacedText& text : *texts) {
    const auto one = parse(section, text);
    if (!one) continue;
    for (const CredentialKind kind :
         {CredentialKind::kHeader, CredentialKind::kSubprotocol, CredentialKind::kFirstMessage,
          CredentialKind::kCookie, CredentialKind::kInsecureQuery}) {
      if (one->contains(kind) && all.contains(kind)) {
        section.error(text.line, "credentials has two of the kind \"" + std::string(name(kind)) +
                                     "\"; a route takes one");
      }
    }
    all = all | *one;
  }
  target = all;
}

}  // namespace sallyport::config
