#include "feature/config/route_credentials.h"

#include <algorithm>
#include <array>
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
constexpr std::array<CredentialKind, 5> kPlain{
    CredentialKind::kHeader, CredentialKind::kSubprotocol, CredentialKind::kFirstMessage,
    CredentialKind::kTicket, CredentialKind::kCertificate};

std::optional<CredentialSet> parse_named(Section& section, const PlacedText& text,
                                         const Named& named) {
  const std::string name = text.value.substr(named.prefix.size());
  // A cookie's name is a token (RFC 6265 section 4.1.1); a parameter's needs no other characters.
  if (!http::is_token(name)) {
    section.error(text.line, "credentials: " + in_quotes(text.value) +
                                 " needs a name of letters, digits and -_.~ behind the colon");
    return std::nullopt;
  }
  return CredentialSet(named.kind, name);
}

void report_unknown(Section& section, const PlacedText& text) {
  std::vector<std::string> words;
  for (const CredentialKind kind : kPlain) words.emplace_back(name(kind));
  for (const Named& named : kNamed) words.push_back(std::string(named.prefix) + "NAME");
  std::string hint;
  if (text.value == "cookie" || text.value == "insecure_query") {
    hint = "; write \"" + text.value + ":NAME\"";
  } else if (text.value == "query" || text.value.starts_with("query:")) {
    const bool named = text.value.size() > std::string_view("query:").size();
    hint = "; write \"insecure_" + (named ? text.value : "query:NAME") + "\"";
  } else {
    hint = did_you_mean(text.value, words);
  }
  section.error(text.line, "credentials: " + in_quotes(text.value) + " is not one of " +
                               alternatives(words) + hint);
}

struct One {
  CredentialKind kind;
  CredentialSet set;
};

std::optional<One> parse(Section& section, const PlacedText& text) {
  for (const CredentialKind kind : kPlain) {
    if (text.value == name(kind)) return One{kind, CredentialSet(kind)};
  }
  for (const Named& named : kNamed) {
    if (!text.value.starts_with(named.prefix)) continue;
    auto set = parse_named(section, text, named);
    if (!set) return std::nullopt;
    return One{named.kind, std::move(*set)};
  }
  report_unknown(section, text);
  return std::nullopt;
}

std::vector<PlacedCredential> defaults(int line) {
  std::vector<PlacedCredential> list;
  for (const CredentialKind kind :
       {CredentialKind::kHeader, CredentialKind::kSubprotocol, CredentialKind::kFirstMessage}) {
    list.push_back({.kind = kind, .spelled = std::string(name(kind)), .line = line});
  }
  return list;
}

}  // namespace

std::optional<std::vector<PlacedCredential>> read_credentials(Section& section,
                                                              CredentialSet& target) {
  if (!section.has("credentials")) {
    section.ignore("credentials");
    return defaults(section.line());
  }
  const auto texts = section.read_texts("credentials");
  if (!texts) return std::nullopt;
  if (texts->empty()) {
    section.error(
        section.line_of("credentials"),
        "credentials must not be empty: no credential would be accepted; leave it out for "
        "\"header\", \"subprotocol\" and \"first_message\"");
    return std::nullopt;
  }
  CredentialSet all;
  std::vector<PlacedCredential> list;
  bool good = true;
  for (const PlacedText& text : *texts) {
    const auto one = parse(section, text);
    if (!one) {
      good = false;
      continue;
    }
    if (all.contains(one->kind)) {
      section.error(text.line, "credentials has two of the kind \"" + std::string(name(one->kind)) +
                                   "\"; a route takes one");
      good = false;
    }
    all = all | one->set;
    list.push_back({.kind = one->kind, .spelled = text.value, .line = text.line});
  }
  target = std::move(all);
  if (!good) return std::nullopt;
  return list;
}

}  // namespace sallyport::config
