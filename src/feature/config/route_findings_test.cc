// The same for routes: each case follows the verifier and route of `kGood`, whose last line is 10.

#include "feature/config/config.h"

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <string_view>

#include "feature/config/test_support.h"

namespace sallyport::config {
namespace {

struct Case {
  std::string_view name;
  std::string_view text;
  std::string_view findings;
  friend std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }
};

class RouteFindings : public testing::TestWithParam<Case> {};

TEST_P(RouteFindings, AreExactlyThese) {
  EXPECT_EQ(findings_of(std::string(kGood) + std::string(GetParam().text)), GetParam().findings);
}

constexpr auto kNameOf = [](const testing::TestParamInfo<Case>& info) {
  return std::string(info.param.name);
};

INSTANTIATE_TEST_SUITE_P(
    Verifiers, RouteFindings,
    testing::Values(
        Case{"None", "[[route]]\npath = \"/x\"\nhandler = \"echo\"\n",
             "11: error: route /x: has no verifier; list one under verifiers, or write "
             "insecure_anonymous = true\n"},
        Case{"EmptyList", "[[route]]\npath = \"/x\"\nhandler = \"echo\"\nverifiers = []\n",
             "11: error: route /x: has no verifier; list one under verifiers, or write "
             "insecure_anonymous = true\n"},
        Case{"Unknown",
             "[[route]]\npath = \"/x\"\nhandler = \"echo\"\nverifiers = [\"mian\", \"other\", "
             "\"main\", \"main\"]\n",
             "14: error: route /x: verifier \"mian\" is not defined; did you mean \"main\"?\n"
             "14: error: route /x: verifier \"other\" is not defined; define it as "
             "[verifier.other]\n"
             "14: error: route /x: verifiers names \"main\" twice\n"},
        Case{"AtFaultIsReportedOnce",
             "[verifier.v]\ntype = \"jwt\"\naudience = [\"a\"]\nalgorithms = "
             "[\"ES256\"]\njwks_file = \"es256.jwks\"\n"
             "[[route]]\npath = \"/x\"\nhandler = \"echo\"\nverifiers = [\"v\"]\n",
             "11: error: verifier v: issuer is missing; write the exact iss of the tokens\n"},
        Case{"OfTheSameIssuer",
             "[verifier.second]\ntype = \"jwt\"\nissuer = "
             "\"https://id.example.com/\"\naudience = [\"b\"]\nalgorithms = [\"ES256\"]\n"
             "jwks_file = \"es256.jwks\"\n"
             "[[route]]\npath = \"/x\"\nhandler = \"echo\"\nverifiers = [\"main\", \"second\"]\n",
             "20: warning: route /x: verifier \"second\" is never asked: \"main\" has the same "
             "issuer "
             "and comes first; put all keys and audiences of one issuer into one verifier\n"},
        Case{"NamedByNoRoute",
             "[verifier.spare]\ntype = \"jwt\"\nissuer = \"i\"\naudience = [\"b\"]\n"
             "algorithms = [\"ES256\"]\njwks_file = \"es256.jwks\"\n",
             "11: warning: verifier spare: no route names it\n"},
        Case{"Anonymous",
             "[[route]]\npath = \"/x\"\nhandler = \"echo\"\ninsecure_anonymous = true\n",
             "14: warning: route /x: insecure_anonymous: everybody may connect\n"},
        Case{"AnonymousNextToAVerifier", "insecure_anonymous = true\n",
             "11: error: route /echo: insecure_anonymous next to verifiers: whoever fails these "
             "would get in without; "
             "keep one\n"
             "11: warning: route /echo: insecure_anonymous: everybody may connect\n"},
        Case{"AnonymousWithScopes",
             "[[route]]\npath = \"/x\"\nhandler = \"echo\"\ninsecure_anonymous = true\nscopes = "
             "[\"a\"]\n",
             "14: warning: route /x: insecure_anonymous: everybody may connect\n"
             "15: error: route /x: scopes on a route with insecure_anonymous = true: nobody has "
             "any there, so nobody "
             "could connect\n"}),
    kNameOf);

INSTANTIATE_TEST_SUITE_P(
    Shape, RouteFindings,
    testing::Values(
        Case{"MisspeltHandler",
             "[[route]]\npath = \"/x\"\nhandler = \"ehco\"\nverifiers = [\"main\"]\nscope = []\n",
             "13: error: route /x: handler must be \"echo\", \"hub\" or \"static\", not \"ehco\"; "
             "did you mean "
             "\"echo\"?\n"
             "15: error: route /x: unknown key \"scope\"; did you mean \"scopes\"?\n"},
        Case{"Paths",
             "[[route]]\npath = \"x\"\nhandler = \"echo\"\nverifiers = [\"main\"]\n"
             "[[route]]\npath = \"/a//b\"\nhandler = \"echo\"\nverifiers = [\"main\"]\n",
             "12: error: route x: path \"x\": it must begin with a slash\n"
             "16: error: route /a//b: path \"/a//b\": a segment is empty\n"},
        Case{"DuplicatePaths",
             "[[route]]\npath = \"/a/:x\"\nhandler = \"echo\"\nverifiers = [\"main\"]\n"
             "[[route]]\npath = \"/a/:y\"\nhandler = \"echo\"\nverifiers = [\"main\"]\n",
             "16: error: route /a/:y: matches the same paths as the route /a/:x in line 12\n"},
        Case{"StaticWithoutRoot", "[[route]]\npath = \"/x/*\"\nhandler = \"static\"\n",
             "11: error: route /x/*: has no root; name the folder whose files it serves\n"},
        Case{"StaticWithAMissingFolder",
             "[[route]]\npath = \"/x/*\"\nhandler = \"static\"\nroot = \"none\"\n",
             "14: error: route /x/*: root \"conf/none\" is not a folder that can be read\n"},
        Case{"StaticPathsWithAndWithoutTheirAsterisk",
             "[[route]]\npath = \"/x\"\nhandler = \"static\"\nroot = \"site\"\n"
             "[[route]]\npath = \"/x/*\"\nhandler = \"static\"\nroot = \"site\"\n",
             "16: error: route /x/*: matches the same paths as the route /x in line 12\n"},
        Case{"WebSocketKeysOnAStaticRoute",
             "[[route]]\npath = \"/x/*\"\nhandler = \"static\"\nroot = \"site\"\nverifiers = "
             "[\"main\"]\ncompression = true\n"
             "roto = 1\n",
             "15: error: route /x/*: verifiers has no meaning on a static route; its files are for "
             "everybody\n"
             "16: error: route /x/*: compression has no meaning on a static route; its files are "
             "for everybody\n"
             "17: error: route /x/*: unknown key \"roto\"; did you mean \"root\"?\n"},
        Case{"RootAndPermitOnAnEchoRoute",
             "root = \"site\"\n[[route.permit]]\ndo = [\"publish\"]\nchannel = \"x\"\n",
             "11: error: route /echo: root belongs to a route with handler = \"static\"\n"
             "12: error: route /echo: permit belongs to a route with handler = \"hub\"\n"},
        Case{"WrongTypes",
             "scopes = \"a\"\ncompression = \"no\"\nmessage_bytes = 64\nmessages_per_second = "
             "1.5\nreject = true\n"
             "claims = []\nping_interval = \"fast\"\norigins = 1\ninsecure_anonymous = 0\npath_ = "
             "1\n",
             "11: error: route /echo: scopes must be a list of strings, in brackets, not a string\n"
             "12: error: route /echo: compression must be true or false, not a string\n"
             "13: error: route /echo: message_bytes must be a size such as \"64KiB\", not an "
             "integer\n"
             "14: error: route /echo: messages_per_second must be an integer, not a number with a "
             "fraction\n"
             "15: error: route /echo: reject must be \"auto\", \"http\" or \"close\", not a "
             "boolean\n"
             "16: error: route /echo: claims must be a table, not a list\n"
             "17: error: route /echo: ping_interval: \"fast\" is not a duration; write a whole "
             "number and ms, s, m, h "
             "or d, such as \"30s\"\n"
             "18: error: route /echo: origins must be \"same\", \"insecure_any\" or a list of "
             "origins, not an integer\n"
             "19: error: route /echo: insecure_anonymous must be true or false, not an integer\n"
             "20: error: route /echo: unknown key \"path_\"; did you mean \"path\"?\n"},
        Case{"Ranges",
             "auth_timeout = \"0s\"\npre_auth_bytes = \"0B\"\nmessage_bytes = "
             "\"2GiB\"\nidle_timeout = \"8d\"\n"
             "max_session = \"0s\"\nsend_queue_bytes = \"64KB\"\n",
             "11: error: route /echo: auth_timeout must be from 1ms to 1h\n"
             "12: error: route /echo: pre_auth_bytes must be from 1B to 1MiB\n"
             "13: error: route /echo: message_bytes must be from 1B to 1GiB\n"
             "14: error: route /echo: idle_timeout must be from 1s to 7d\n"
             "15: error: route /echo: max_session must be from 1ms to 3650d\n"
             "16: error: route /echo: send_queue_bytes: \"64KB\" is not a size; write a whole "
             "number and B, KiB, MiB "
             "or GiB, such as \"64KiB\"\n"},
        Case{"ItemsThatAreNoTables",
             "[[route]]\npath = \"/h\"\nhandler = \"hub\"\nverifiers = [\"main\"]\npermit = [1]\n",
             "15: error: route /h: permit must hold tables only, not an integer\n"},
        // It is pinged at half of that.
        Case{"IdleBeforePing", "idle_timeout = \"20s\"\n", ""},
        Case{
            "BracesInAPath",
            "[[route]]\npath = \"/a/{room}\"\nhandler = \"echo\"\nverifiers = [\"main\"]\n",
            "12: error: route /a/{room}: path \"/a/{room}\": a literal has characters that no path "
            "has; write them as %XX; a parameter is written :room, not {room}\n"},
        Case{"PermitBesideTheRoute", "[[permit]]\ndo = [\"publish\"]\nchannel = \"a\"\n",
             "11: error: permit belongs to a route; write [[route.permit]] below the [[route]] it "
             "is "
             "for\n"}),
    kNameOf);

INSTANTIATE_TEST_SUITE_P(
    Credentials, RouteFindings,
    testing::Values(
        Case{"Unknown",
             "credentials = [\"heder\", \"cookie\", \"cookie:\", \"cookie:a b\", "
             "\"insecure_query:a&b\", \"query:token\"]\n",
             "11: error: route /echo: credentials: \"heder\" is not one of \"header\", "
             "\"subprotocol\", "
             "\"first_message\", \"ticket\", \"certificate\", \"cookie:NAME\" or "
             "\"insecure_query:NAME\"; did you mean "
             "\"header\"?\n"
             "11: error: route /echo: credentials: \"cookie\" is not one of \"header\", "
             "\"subprotocol\", "
             "\"first_message\", \"ticket\", \"certificate\", \"cookie:NAME\" or "
             "\"insecure_query:NAME\"; write \"cookie:NAME\"\n"
             "11: error: route /echo: credentials: \"cookie:\" needs a name of letters, digits and "
             "-_.~ behind the "
             "colon\n"
             "11: error: route /echo: credentials: \"cookie:a b\" needs a name of letters, digits "
             "and -_.~ behind the "
             "colon\n"
             "11: error: route /echo: credentials: \"query:token\" is not one of \"header\", "
             "\"subprotocol\", "
             "\"first_message\", \"ticket\", \"certificate\", \"cookie:NAME\" or "
             "\"insecure_query:NAME\"; write "
             "\"insecure_query:token\"\n"
             "11: warning: route /echo: insecure_query: tokens in the URL end up in access logs, "
             "histories and Referer "
             "headers\n"},
        Case{"Twice", "credentials = [\"header\", \"cookie:a\", \"cookie:b\", \"header\"]\n",
             "11: error: route /echo: credentials has two of the kind \"cookie\"; a route takes "
             "one\n"
             "11: error: route /echo: credentials has two of the kind \"header\"; a route takes "
             "one\n"},
        Case{"Empty", "credentials = []\n",
             "11: error: route /echo: credentials must not be empty: no credential would be "
             "accepted; leave it out for "
             "\"header\", \"subprotocol\" and \"first_message\"\n"},
        Case{"InlineTable", "credentials = [{ cookie = \"a\" }]\n",
             "11: error: route /echo: credentials must hold strings only, not a table\n"},
        Case{"InsecureQuery", "credentials = [\"insecure_query:token\"]\n",
             "11: warning: route /echo: insecure_query: tokens in the URL end up in access logs, "
             "histories and Referer "
             "headers\n"},
        Case{"CookieOnLoopback", "credentials = [\"cookie:a\"]\n", ""},
        Case{"CookieOffLoopbackWithoutPublicUrl",
             "credentials = [\"cookie:a\"]\n[server]\nlisten = [\"127.0.0.1:0\", "
             "\"0.0.0.0:443\"]\n[server.tls]\n"
             "certificate = \"good.crt\"\nkey = \"good.key\"\n",
             "11: error: route /echo: a cookie demands a check of Origin, and origins = \"same\" "
             "means nothing here: "
             "write public_url under [server], or list the origins\n"},
        Case{"CookieOffLoopbackWithPublicUrl",
             "credentials = [\"cookie:a\"]\n[server]\nlisten = [\"0.0.0.0:443\"]\npublic_url = "
             "\"https://a.example\"\n"
             "[server.tls]\ncertificate = \"good.crt\"\nkey = \"good.key\"\n",
             ""},
        Case{"SameOffLoopbackWithoutPublicUrl",
             "[server]\nlisten = [\"0.0.0.0:443\"]\n[server.tls]\ncertificate = \"good.crt\"\nkey "
             "= \"good.key\"\n",
             "7: warning: route /echo: origins = \"same\" refuses every browser that comes over a "
             "listener off "
             "loopback: write public_url under [server], or list the origins\n"}),
    kNameOf);

INSTANTIATE_TEST_SUITE_P(
    Access, RouteFindings,
    testing::Values(
        Case{"OriginsAsAString", "origins = \"https://app.example.com\"\n",
             "11: error: route /echo: origins must be \"same\" or \"insecure_any\" or a list such "
             "as "
             "[\"https://app.example.com\"], not \"https://app.example.com\"\n"},
        Case{"MisspeltOrigins", "origins = \"smae\"\n",
             "11: error: route /echo: origins must be \"same\" or \"insecure_any\" or a list such "
             "as "
             "[\"https://app.example.com\"], not \"smae\"; did you mean \"same\"?\n"},
        Case{"OriginPatterns",
             "origins = "
             "[\n\"https://*.*.example.com\",\n\"app.example.com\",\n\"https://"
             "ok.example\",\n\"*\",\n]\n",
             "12: error: route /echo: origins: origin \"https://*.*.example.com\": an asterisk "
             "stands for one whole "
             "label at the start of the host, https://*.example.com\n"
             "13: error: route /echo: origins: origin \"app.example.com\": an origin is "
             "scheme://host or "
             "scheme://host:port\n"
             "15: error: route /echo: origins: origin \"*\": an asterisk stands for one whole "
             "label at the start of "
             "the host, https://*.example.com\n"},
        Case{"InsecureAny", "origins = \"insecure_any\"\n",
             "11: warning: route /echo: insecure_any: pages of any site may open a socket\n"},
        Case{"InsecureAnyWithACookie", "origins = \"insecure_any\"\ncredentials = [\"cookie:a\"]\n",
             "11: warning: route /echo: insecure_any with a cookie: any page that a user visits "
             "can open a socket in "
             "that user's name\n"},
        Case{"Addresses",
             "allow_addresses = [\"192.0.2.0/24\", \"192.0.2.1/24\"]\ndeny_addresses = [\"x\", "
             "\"::1/129\"]\n",
             "11: error: route /echo: allow_addresses: \"192.0.2.1/24\" has bits set behind its "
             "prefix; the block is "
             "192.0.2.0/24\n"
             "12: error: route /echo: deny_addresses: \"x\" is not an address block such as "
             "192.0.2.0/24 or "
             "2001:db8::/32\n"
             "12: error: route /echo: deny_addresses: \"::1/129\": the number of bits behind the "
             "slash is not valid\n"},
        Case{"Claims", "claims = { a = 1, b = [], c = [true], d = { x = 1 } }\n",
             "11: error: route /echo: claims.a must be a string or a list of strings, not an "
             "integer\n"
             "11: error: route /echo: claims.b must not be an empty list: nobody could connect\n"
             "11: error: route /echo: claims.c must hold strings only, not a boolean\n"
             "11: error: route /echo: claims.d must be a string or a list of strings, not a "
             "table\n"},
        Case{"ScopesInOneString", "scopes = [\"a b\"]\n",
             "11: error: route /echo: scopes: \"a b\" has a space; write several scopes as several "
             "strings\n"}),
    kNameOf);

#define HUB \
  "[[route]]\npath = \"/chat/:room\"\nhandler = \"hub\"\nverifiers = [\"main\"]\n"  // lines 11 to
                                                                                    // 14

INSTANTIATE_TEST_SUITE_P(
    Permits, RouteFindings,
    testing::Values(
        Case{"None", HUB,
             "11: warning: route /chat/:room: has no [[route.permit]]: nobody may subscribe to or "
             "publish in any "
             "channel\n"},
        Case{"Empty", HUB "[[route.permit]]\n",
             "15: error: route /chat/:room: permit: do is missing; list \"subscribe\", \"publish\" "
             "or both\n"
             "15: error: route /chat/:room: permit: channel is missing; write for example channel "
             "= \"room/*\"\n"},
        Case{"Misspelt",
             HUB "[[route.permit]]\ndo = [\"subscrib\", \"read\"]\nchanel = \"x\"\nchannel = "
                 "\"x\"\nscopes = 1\n",
             "16: error: route /chat/:room: permit: do: \"subscrib\" is not \"subscribe\" or "
             "\"publish\"; did you mean "
             "\"subscribe\"?\n"
             "16: error: route /chat/:room: permit: do: \"read\" is not \"subscribe\" or "
             "\"publish\"\n"
             "17: error: route /chat/:room: permit: unknown key \"chanel\"; did you mean "
             "\"channel\"?\n"
             "19: error: route /chat/:room: permit: scopes must be a list of strings, in brackets, "
             "not an integer\n"},
        Case{"InInlineTables",
             HUB
             "permit = [{ do = [\"publish\"], channel = \"a\", when = 1 }, { do = \"publish\" }]\n",
             "15: error: route /chat/:room: permit: unknown key \"when\"\n"
             "15: error: route /chat/:room: permit: do must be a list of strings, in brackets, not "
             "a string\n"
             "15: error: route /chat/:room: permit: channel is missing; write for example channel "
             "= \"room/*\"\n"},
        Case{"Channels",
             HUB
             "[[route.permit]]\ndo = [\"publish\"]\nchannel = \"room/{room}\"\n"
             "[[route.permit]]\ndo = [\"publish\"]\nchannel = \"room/{param.rom}/{param.room}\"\n",
             "17: error: route /chat/:room: permit: \"room/{room}\": {room} is none of {sub}, "
             "{param.NAME}, "
             "{claim.NAME}\n"
             "20: error: route /chat/:room: permit: channel names the parameter \"rom\", which the "
             "path "
             "\"/chat/:room\" does not have\n"}),
    kNameOf);

}  // namespace
}  // namespace sallyport::config
