#include "feature/config/route_access.h"

#include <algorithm>
#include <array>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/auth/permit.h"
#include "core/http/address.h"
#include "core/http/origin.h"
#include "feature/config/spelling.h"

namespace sallyport::config {
namespace {

void read_origin_word(Section& section, const std::string& word, Origins& origins) {
  if (word == "same") {
    origins = same_origin;
  } else if (word == "insecure_any") {
    origins = insecure_any_origin;
  } else {
    const std::string words[] = {"same", "insecure_any"};
    section.error(section.line_of("origins"),
                  "origins must be " + alternatives(words) +
                      " or a list such as [\"https://app.example.com\"], not " + in_quotes(word) +
                      did_you_mean(word, words));
  }
}

void read_origins(Section& section, Origins& origins) {
  const Node* const node = section.read_any("origins");
  if (node == nullptr) return;
  if (const auto* const word = std::get_if<std::string>(&node->value)) {
    return read_origin_word(section, *word, origins);
  }
  if (!std::holds_alternative<List>(node->value)) {
    return section.wrong_type("origins", *node, "\"same\", \"insecure_any\" or a list of origins");
  }
  const auto texts = section.read_texts("origins");
  if (!texts) return;
  std::vector<std::string> list;
  for (const PlacedText& text : *texts) {
    const auto policy = http::OriginPolicy::list(std::array{text.value});
    if (!policy) section.error(text.line, "origins: " + policy.error());
    list.push_back(text.value);
  }
  origins = sallyport::origins(std::move(list));
}

std::optional<std::vector<std::string>> read_addresses(Section& section, std::string_view key) {
  const auto texts = section.read_texts(key);
  if (!texts) return std::nullopt;
  std::vector<std::string> blocks;
  for (const PlacedText& text : *texts) {
    const auto block = http::CidrBlock::parse(text.value);
    if (!block) section.error(text.line, std::string(key) + ": " + block.error());
    blocks.push_back(text.value);
  }
  return blocks;
}

// The allowed values of one claim, or nothing with a finding.
std::optional<std::vector<std::string>> claim_values(Section& section, const Entry& claim) {
  const std::string key = "claims." + claim.key;
  if (const auto* const text = std::get_if<std::string>(&claim.node.value)) return {{*text}};
  const auto* const list = std::get_if<List>(&claim.node.value);
  if (list == nullptr) {
    section.wrong_type(key, claim.node, "a string or a list of strings");
    return std::nullopt;
  }
  if (list->items.empty()) {
    section.error(claim.line, key + " must not be an empty list: nobody could connect");
    return std::nullopt;
  }
  std::vector<std::string> values;
  for (const Node& item : list->items) {
    const auto* const text = std::get_if<std::string>(&item.value);
    if (text == nullptr) {
      section.error(item.line, key + " must hold strings only, not " + std::string(kind_of(item)));
      return std::nullopt;
    }
    values.push_back(*text);
  }
  return values;
}

void read_claims(Section& section, Route& route) {
  const Entry* const entry = section.read_table("claims");
  if (entry == nullptr) return;
  for (const Entry& claim : std::get<Table>(entry->node.value).entries) {
    if (auto values = claim_values(section, claim)) route.claims[claim.key] = std::move(*values);
  }
}

void read_scopes(Section& section, std::vector<std::string>& scopes) {
  const auto texts = section.read_texts("scopes");
  if (!texts) return;
  for (const PlacedText& text : *texts) {
    // A scope of a token never has a space (RFC 6749 section 3.3), so such a route would refuse
    // everybody.
    if (text.value.find(' ') != std::string::npos) {
      section.error(text.line, "scopes: " + in_quotes(text.value) +
                                   " has a space; write several scopes as several strings");
    }
    scopes.push_back(text.value);
  }
}

// A permit for a parameter that the path does not have would silently permit nothing.
void check_parameters(Section& permit, const std::string& channel, const http::RoutePattern& path) {
  constexpr std::string_view kOpen = "{param.";
  const std::string segments = path.text() + "/";
  for (std::size_t at = channel.find(kOpen); at != std::string::npos;
       at = channel.find(kOpen, at + 1)) {
    const std::size_t begin = at + kOpen.size();
    const std::size_t end = channel.find('}', begin);
    if (end == std::string::npos) return;
    const std::string name = channel.substr(begin, end - begin);
    if (segments.find("/:" + name + "/") != std::string::npos) continue;
    permit.error(permit.line_of("channel"), "channel names the parameter " + in_quotes(name) +
                                                ", which the path " + in_quotes(path.text()) +
                                                " does not have");
  }
}

void read_actions(Section& section, Permit& permit) {
  const auto actions = section.read_texts("do");
  if ((actions && actions->empty()) || !section.has("do")) {
    section.error(section.line_of("do"), "do is missing; list \"subscribe\", \"publish\" or both");
  }
  if (!actions) return;
  const std::string words[] = {"subscribe", "publish"};
  for (const PlacedText& action : *actions) {
    if (action.value == words[0]) {
      permit.subscribe = true;
    } else if (action.value == words[1]) {
      permit.publish = true;
    } else {
      section.error(action.line, "do: " + in_quotes(action.value) + " is not " +
                                     alternatives(words) + did_you_mean(action.value, words));
    }
  }
}

void read_permit(Section& section, const http::RoutePattern* path, Permit& permit) {
  read_actions(section, permit);
  if (section.read_string("channel", permit.channel)) {
    const auto pattern = auth::ChannelPattern::parse(permit.channel);
    if (!pattern) {
      section.error(section.line_of("channel"), pattern.error());
    } else if (path != nullptr) {
      check_parameters(section, permit.channel, *path);
    }
  } else if (!section.has("channel")) {
    section.error(section.line(), "channel is missing; write for example channel = \"room/*\"");
  }
  read_scopes(section, permit.scopes);
  section.finish();
}

}  // namespace

void read_access(Section& section, Route& route) {
  read_origins(section, route.origins);
  read_scopes(section, route.scopes);
  read_claims(section, route);
  route.allow_addresses = read_addresses(section, "allow_addresses");
  route.deny_addresses =
      read_addresses(section, "deny_addresses").value_or(std::vector<std::string>{});
}

void read_permits(Section& section, Reading& reading, const http::RoutePattern* path,
                  Route& route) {
  for (const Node* const node : section.read_tables("permit", "[[route.permit]]")) {
    Section permit_section(std::get<Table>(node->value), node->line, section.where() + ": permit",
                           reading.findings);
    Permit permit;
    read_permit(permit_section, path, permit);
    route.permit.push_back(std::move(permit));
  }
}

}  // namespace sallyport::config
