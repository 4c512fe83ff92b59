#include "main/admin_command.h"

#include <algorithm>
#include <array>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <ctime>
#include <optional>
#include <utility>

#include "core/base/json.h"
#include "core/http/answer.h"
#include "core/http/grammar.h"
#include "main/admin_client.h"
#include "main/status.h"

namespace sallyport::main {
namespace {

namespace json = boost::json;

constexpr std::size_t kPageRows = 500;
constexpr std::size_t kPagesMax = 100'000;  // a server that never ends its list is not believed
constexpr std::string_view kNothing = "-";

// ---- What comes back

const json::value* member_of(const json::value& value, std::string_view name) {
  const json::object* const object = value.if_object();
  return object == nullptr ? nullptr : object->if_contains(name);
}

std::string text_of(const json::value& value, std::string_view name) {
  const json::value* const member = member_of(value, name);
  const json::string* const text = member == nullptr ? nullptr : member->if_string();
  return text == nullptr ? std::string() : std::string(text->data(), text->size());
}

std::uint64_t number_of(const json::value& value, std::string_view name) {
  const json::value* const member = member_of(value, name);
  if (member == nullptr) return 0;
  if (const auto* const number = member->if_uint64()) return *number;
  const auto* const number = member->if_int64();
  return number == nullptr || *number < 0 ? 0 : static_cast<std::uint64_t>(*number);
}

json::array array_of(const json::value& value, std::string_view name) {
  const json::value* const member = member_of(value, name);
  const json::array* const array = member == nullptr ? nullptr : member->if_array();
  return array == nullptr ? json::array() : *array;
}

// Unix seconds as "2026-11-24 15:04:05", in UTC.
std::string time_of(const json::value& value, std::string_view name) {
  const json::value* const member = member_of(value, name);
  if (member == nullptr || !member->is_number()) return std::string(kNothing);
  const double seconds = member->to_number<double>();
  if (!(seconds >= 0 && seconds < 253'402'300'800.0)) return std::string(kNothing);
  const auto when = static_cast<std::time_t>(seconds);
  std::tm parts{};
  std::array<char, 32> text{};
  if (gmtime_r(&when, &parts) == nullptr) return std::string(kNothing);
  return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%d %H:%M:%S", &parts)};
}

std::string or_nothing(std::string text) { return text.empty() ? std::string(kNothing) : text; }

std::string counted(std::uint64_t count, std::string_view what) {
  return std::to_string(count) + " " + std::string(what) + (count == 1 ? "" : "s");
}

Said failed(const AdminFault& fault) { return {.status = fault.status, .complaint = fault.text}; }

Said unusable(std::string text) { return {.status = kUsage, .complaint = std::move(text)}; }

// An empty value is a shell's variable that was never set, and would mean everybody.
std::string fault_of(std::string_view option, const std::optional<std::string>& value) {
  if (!value) return {};
  if (value->empty()) return std::string(option) + " is empty";
  if (!http::is_utf8(*value)) return std::string(option) + " is not UTF-8";
  return {};
}

// ---- Revocations

struct Chosen {
  std::string_view option;
  std::string_view member;
  const std::optional<std::string>* value;
};

std::array<Chosen, 4> selectors_of(const RevokeCommand& command) {
  return {{{"--subject", "subject", &command.subject},
           {"--session", "session", &command.session},
           {"--token-id", "token_id", &command.token_id},
           {"--issuer", "issuer", &command.issuer}}};
}

// Unix seconds, with a fraction if there is one; as text, so that nothing of it is lost. Empty: it is none.
std::string moment_of(const std::string& text) {
  if (text == "now") {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::to_string(std::chrono::ceil<std::chrono::seconds>(now).count());
  }
  const std::size_t point = std::min(text.find('.'), text.size());
  const auto is_digits = [](std::string_view digits) {
    return !digits.empty() &&
           std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
  };
  const std::string_view whole = std::string_view(text).substr(0, point);
  if (!is_digits(whole) || (whole.size() > 1 && whole.front() == '0')) return {};
  if (point < text.size() && !is_digits(std::string_view(text).substr(point + 1))) return {};
  return text;
}

// The body of the request, or what cannot be meant.
std::expected<std::string, std::string> revocation_json(const RevokeCommand& command) {
  std::string body;
  const auto add = [&body](std::string_view name, std::string_view json) {
    body.append(body.empty() ? "{\"" : ",\"").append(name).append("\":").append(json);
  };
  for (const auto& [option, member, value] : selectors_of(command)) {
    const std::string fault = fault_of(option, *value);
    if (!fault.empty()) return std::unexpected(fault);
    if (*value) add(member, http::json_string(**value));
  }
  if (command.issued_before) {
    const std::string moment = moment_of(*command.issued_before);
    if (moment.empty()) {
      return std::unexpected(
          "--issued-before is \"now\" or Unix time in seconds, such as $(date -d yesterday +%s)");
    }
    add("issued_before", moment);
  }
  if (body.empty()) {
    return std::unexpected(
        "say whose logins are to end: --subject, --session, --token-id, --issuer or --issued-before; several "
        "must all match; or give --list or --lift");
  }
  for (const auto& [option, member, value] :
       {Chosen{"--keep", "keep", &command.keep}, Chosen{"--reason", "reason", &command.reason}}) {
    const std::string fault = fault_of(option, *value);
    if (!fault.empty()) return std::unexpected(fault);
    if (*value) add(member, http::json_string(**value));
  }
  return body + "}";
}

// "subject ada, issued before 2026-11-24 15:04:05".
std::string whom(const json::value& revocation) {
  std::string text;
  const auto add = [&text](std::string_view name, const std::string& value) {
    text.append(text.empty() ? "" : ", ").append(name).append(" ").append(value);
  };
  for (const auto& [member, shown] : {std::pair<std::string_view, std::string_view>{"subject", "subject"},
                                      {"session", "session"},
                                      {"token_id", "token"},
                                      {"issuer", "issuer"}}) {
    const std::string value = text_of(revocation, member);
    if (!value.empty()) add(shown, value);
  }
  if (member_of(revocation, "issued_before") != nullptr)
    add("issued before", time_of(revocation, "issued_before"));
  return text;
}

Said list_revocations(const AdminClient& client, bool as_json) {
  const auto answer = client.ask("GET", "/v1/revocations");
  if (!answer) return failed(answer.error());
  Said said;
  std::vector<std::vector<std::string>> rows{{"ID", "CREATED", "UNTIL", "REASON", "WHO"}};
  for (const json::value& revocation : array_of(*answer, "revocations")) {
    if (as_json) {
      said.text += json::serialize(revocation) + "\n";
      continue;
    }
    const std::string until = time_of(revocation, "until");
    rows.push_back({std::to_string(number_of(revocation, "id")), time_of(revocation, "created"),
                    until == kNothing ? "lifted" : until, text_of(revocation, "reason"), whom(revocation)});
  }
  if (!as_json) said.text = rows.size() == 1 ? "nobody is kept out\n" : table_of(rows);
  return said;
}

Said lift(const AdminClient& client, const std::string& id) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(id.data(), id.data() + id.size(), number);
  if (error != std::errc() || end != id.data() + id.size()) {
    return unusable("--lift is the number of a revocation; --list shows them");
  }
  const auto answer = client.ask("DELETE", "/v1/revocations/" + std::to_string(number));
  if (!answer) return failed(answer.error());
  return {.text = "revocation " + std::to_string(number) + " is lifted\n"};
}

Said connection_table(const std::vector<json::value>& connections) {
  if (connections.empty()) return {.text = "nobody is connected\n"};
  std::vector<std::vector<std::string>> rows{
      {"SUBJECT", "ROUTE", "ADDRESS", "OPENED", "EXPIRES", "CREDENTIAL", "VERIFIER", "ID"}};
  for (const json::value& one : connections) {
    const json::value* const expires = member_of(one, "expires_at");
    rows.push_back({or_nothing(text_of(one, "subject")), or_nothing(text_of(one, "route")),
                    or_nothing(text_of(one, "address")), time_of(one, "opened_at"),
                    expires == nullptr || expires->is_null() ? "never" : time_of(one, "expires_at"),
                    or_nothing(text_of(one, "credential")), or_nothing(text_of(one, "verifier")),
                    or_nothing(text_of(one, "id"))});
  }
  return {.text = table_of(rows)};
}

int say(const Said& said) {
  if (!said.complaint.empty()) return complain(said.status, said.complaint);
  return print(said.text) ? said.status : kFailed;
}

// How many characters UTF-8 text has; wide ones count as one.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

// C0 and C1 controls, and the marks that turn the direction of writing.
std::string harmless(std::string_view text) {
  if (!http::is_utf8(text)) return "?";
  std::string result;
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    const std::string_view one = text.substr(i, size);
    i += size;
    const bool is_control =
        lead < 0x20 || lead == 0x7f || (lead == 0xc2 && static_cast<unsigned char>(one[1]) < 0xa0);
    const bool turns = (one >= "\xe2\x80\x8e" && one <= "\xe2\x80\x8f") ||
                       (one >= "\xe2\x80\xa8" && one <= "\xe2\x80\xae") ||
                       (one >= "\xe2\x81\xa6" && one <= "\xe2\x81\xa9");
    result += is_control || turns ? std::string_view("?") : one;
  }
  return result;
}

}  // namespace

std::string table_of(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::vector<std::string>> shown;
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    std::vector<std::string>& cells = shown.emplace_back();
    for (std::size_t i = 0; i < row.size(); ++i) {
      cells.push_back(harmless(row[i]));
      if (widths.size() <= i) widths.push_back(0);
      widths[i] = std::max(widths[i], width_of(cells.back()));
    }
  }
  std::string text;
  for (const auto& cells : shown) {
    for (std::size_t i = 0; i < cells.size(); ++i) {
      text += cells[i];
      if (i + 1 < cells.size()) text.append(widths[i] - width_of(cells[i]) + 2, ' ');
    }
    text += '\n';
  }
  return text;
}

Said list_connections(const ConnectionsCommand& command) {
  for (const auto& [option, value] :
       {std::pair{"--subject", &command.subject}, std::pair{"--route", &command.route}}) {
    const std::string fault = fault_of(option, *value);
    if (!fault.empty()) return unusable(fault);
  }
  const auto client = AdminClient::open(command.admin);
  if (!client) return failed(client.error());
  std::vector<json::value> all;
  std::string cursor;
  for (std::size_t page = 0; page < kPagesMax; ++page) {
    const auto answer =
        client->ask("GET", "/v1/connections" + query_of({{"subject", command.subject.value_or("")},
                                                         {"route", command.route.value_or("")},
                                                         {"limit", std::to_string(kPageRows)},
                                                         {"cursor", cursor}}));
    if (!answer) return failed(answer.error());
    for (json::value& one : array_of(*answer, "connections")) all.push_back(std::move(one));
    cursor = text_of(*answer, "cursor");
    if (cursor.empty()) break;
  }
  if (!command.json) return connection_table(all);
  Said said;
  for (const json::value& one : all) said.text += json::serialize(one) + "\n";
  return said;
}

Said do_revoke(const RevokeCommand& command) {
  std::expected<std::string, std::string> body;
  if (!command.list && !command.lift) {
    body = revocation_json(command);
    if (!body) return unusable(body.error());
  }
  const auto client = AdminClient::open(command.admin);
  if (!client) return failed(client.error());
  if (command.list) return list_revocations(*client, command.json);
  if (command.lift) return lift(*client, *command.lift);
  const auto answer = client->ask("POST", "/v1/revocations", *body);
  if (!answer) return failed(answer.error());
  if (command.json) return {.text = json::serialize(*answer) + "\n"};
  std::string text = "revocation " + std::to_string(number_of(*answer, "id")) + " holds; it closed " +
                     counted(number_of(*answer, "closed"), "connection");
  for (const json::value& node : array_of(*answer, "nodes")) {
    text += ", " + harmless(text_of(node, "node")) + " within " +
            std::to_string(number_of(node, "applied_ms")) + " ms";
  }
  return {.text = text + "\n"};
}

Said do_publish(const PublishCommand& command) {
  const std::string fault = fault_of("CHANNEL", command.channel);
  if (!fault.empty()) return unusable(fault);
  // Looked at here, so that a shell's quotes are found before anybody is asked.
  if (!base::parse_json(command.data, {.bytes = std::size_t{64} * 1024, .depth = 64})) {
    return unusable("DATA is not JSON of at most 64 KiB; text needs quotes within quotes: '\"hello\"'");
  }
  const auto client = AdminClient::open(command.admin);
  if (!client) return failed(client.error());
  const auto answer =
      client->ask("POST", "/v1/publish",
                  "{\"channel\":" + http::json_string(command.channel) + ",\"data\":" + command.data + "}");
  if (!answer) return failed(answer.error());
  if (command.json) return {.text = json::serialize(*answer) + "\n"};
  return {.text = "published to " + counted(number_of(*answer, "subscribers"), "subscriber") + "\n"};
}

int connections(const ConnectionsCommand& command) { return say(list_connections(command)); }
int revoke(const RevokeCommand& command) { return say(do_revoke(command)); }
int publish(const PublishCommand& command) { return say(do_publish(command)); }

}  // namespace sallyport::main
