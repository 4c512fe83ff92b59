// What a person reads about a configuration with faults: each case has the whole text of its
// findings.

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

class FindingsOf : public testing::TestWithParam<Case> {};

TEST_P(FindingsOf, AreExactlyThese) {
  EXPECT_EQ(findings_of(GetParam().text), GetParam().findings);
}

constexpr auto kNameOf = [](const testing::TestParamInfo<Case>& info) {
  return std::string(info.param.name);
};

// ---- the file and its server

INSTANTIATE_TEST_SUITE_P(
    File, FindingsOf,
    testing::Values(
        Case{"SyntaxErrorHasItsLine", "[server]\nworkers = 1\nworkers = 2\n",
             "3: error: TOML syntax: Error while parsing key-value pair: cannot redefine existing "
             "integer 'workers'\n"},
        Case{"SyntaxErrorsOfHeadersDoNotAbort", "[log]\n[=\n",
             "2: error: TOML syntax: Error while parsing key: expected bare key starting character "
             "or string delimiter, saw '='\n"},
        Case{"QuotationMarksOfATextProgram", "[log]\nlevel = \"info\" # “\nformat = “json”\n",
             "3: error: TOML syntax: Error while parsing value: could not determine value type; "
             "the line has "
             "characters outside ASCII: quotation marks must be \" or '\n"},
        Case{"RoutesMisspelt", "[[routes]]\npath = \"/x\"\n",
             "1: error: unknown key \"routes\"; did you mean \"route\"?\n"},
        Case{"KeysOfAnotherTableOfTheServer",
             "[server]\nheader_bytes = \"8KiB\"\ncertificate = \"x\"\n[[route]]\npath = \"/*\"\n"
             "handler = \"static\"\nroot = \"site\"\n",
             "2: error: [server]: header_bytes belongs into [server.limits]\n"
             "3: error: [server]: certificate belongs into [server.tls]\n"},
        Case{"NoRoutes", "[log]\nlevel = \"info\"\n",
             "1: warning: has no [[route]]: every request would be answered with 404\n"},
        Case{"UnknownTopLevelKeys", "[sever]\nx = 1\n[metrics]\ny = 2\n[[route]]\n",
             "1: error: unknown key \"sever\"; did you mean \"server\"?\n"
             "3: error: unknown key \"metrics\"\n"
             "5: error: route: path is missing; write for example path = \"/chat/:room\"\n"
             "5: error: route: has no handler; write handler = \"echo\", \"hub\" or \"static\"\n"},
        Case{
            "UnknownKeysOfTheServer",
            "[server]\nlissten = []\n[server.limits]\nheader_byte = \"1KiB\"\n[log]\nlevle = "
            "\"info\"\n[store]\nkid = \"x\"\n"
            "[server.tls]\ncertificat = \"x\"\n",
            "1: warning: has no [[route]]: every request would be answered with 404\n"
            "2: error: [server]: unknown key \"lissten\"; did you mean \"listen\"?\n"
            "4: error: [server.limits]: unknown key \"header_byte\"; did you mean "
            "\"header_bytes\"?\n"
            "6: error: [log]: unknown key \"levle\"; did you mean \"level\"?\n"
            "8: error: [store]: unknown key \"kid\"; did you mean \"kind\"?\n"
            "9: error: [server.tls]: certificate is missing; name the PEM file of the chain\n"
            "9: error: [server.tls]: key is missing; name the PEM file of the private key\n"
            "10: error: [server.tls]: unknown key \"certificat\"; did you mean \"certificate\"?\n"},
        Case{"WrongTypesOfTheServer",
             "log = 1\nstore = []\nroute = {}\nverifier = \"x\"\n[server]\nlisten = "
             "\"127.0.0.1:80\"\n"
             "insecure_plaintext = 1\npublic_url = 2\nworkers = \"1\"\ndrain = 10\ntls = "
             "true\nlimits = 2020-01-01\n",
             "1: error: log must be a table, not an integer\n"
             "2: error: store must be a table, not a list\n"
             "3: error: route must be a list of tables, written [[route]], not a table\n"
             "4: error: verifier must be a table, not a string\n"
             "6: error: [server]: listen must be a list of strings, in brackets, not a string\n"
             "7: error: [server]: insecure_plaintext must be true or false, not an integer\n"
             "8: error: [server]: public_url must be a string, not an integer\n"
             "9: error: [server]: workers must be an integer, not a string\n"
             "10: error: [server]: drain must be a duration such as \"30s\", not an integer\n"
             "11: error: [server]: tls must be a table, not a boolean\n"
             "12: error: [server]: limits must be a table, not a date or time\n"},
        Case{"ValuesOutOfRange",
             "[server]\nworkers = -1\ndrain = \"2h\"\n[server.limits]\nhandshake_timeout = \"0s\"\n"
             "header_bytes = \"10B\"\npending = 0\npending_per_address = 9999999999\n"
             "failures_per_address = \"0/1m\"\n[log]\nlevel = \"loud\"\nformat = "
             "\"jsn\"\n[[route]]\n"
             "path = \"/*\"\nhandler = \"static\"\nroot = \"site\"\n",
             "2: error: [server]: workers must be from 0 to 1024\n"
             "3: error: [server]: drain must be from 0s to 1h\n"
             "5: error: [server.limits]: handshake_timeout must be from 1ms to 1h\n"
             "6: error: [server.limits]: header_bytes must be from 256B to 1MiB\n"
             "7: error: [server.limits]: pending must be from 1 to 10000000\n"
             "8: error: [server.limits]: pending_per_address must be from 1 to 10000000\n"
             "9: error: [server.limits]: failures_per_address: the rate \"0/1m\": the number must "
             "be from 1 to "
             "4294967295 and the duration more than zero\n"
             "11: error: [log]: level must be \"trace\", \"debug\", \"info\", \"warn\" or "
             "\"error\", not \"loud\"\n"
             "12: error: [log]: format must be \"json\" or \"text\", not \"jsn\"; did you mean "
             "\"json\"?\n"}),
    kNameOf);

#define STATIC_ROUTE "[[route]]\npath = \"/*\"\nhandler = \"static\"\nroot = \"site\"\n"

INSTANTIATE_TEST_SUITE_P(
    Listeners, FindingsOf,
    testing::Values(
        Case{"AddressOfAnotherType",
             "[server]\nlisten = "
             "[\n\"127.0.0.1\",\n\"localhost:x\",\n\"example.com:80\",\n\"127.0.0.1:80\",\n"
             "\"127.0.0.1:80\",\n7,\n]\n" STATIC_ROUTE,
             "8: error: [server]: listen must hold strings only, not an integer\n"},
        Case{"MalformedAddresses",
             "[server]\nlisten = "
             "[\n\"127.0.0.1\",\n\"localhost:x\",\n\"example.com:80\",\n\"127.0.0.1:80\",\n"
             "\"localhost:80\",\n]\n" STATIC_ROUTE,
             "3: error: [server]: listen: \"127.0.0.1\": the port is missing; write for example "
             "\"127.0.0.1:8080\"\n"
             "4: error: [server]: listen: \"localhost:x\": the port must be a number from 0 to "
             "65535; write for "
             "example \"127.0.0.1:8080\"\n"
             "5: error: [server]: listen: \"example.com:80\": the host must be an IPv4 address, an "
             "IPv6 address in "
             "brackets, or localhost; write for example \"127.0.0.1:8080\"\n"
             "7: error: [server]: listen names \"localhost:80\" twice\n"},
        Case{"NoAddress", "[server]\nlisten = []\n" STATIC_ROUTE,
             "2: error: [server]: listen must name at least one address, such as "
             "\"127.0.0.1:8080\"\n"},
        Case{"PlainTextOffLoopback",
             "[server]\nlisten = [\"0.0.0.0:80\", \"[::]:80\", \"127.0.0.1:81\"]\n" STATIC_ROUTE,
             "2: error: [server]: listen: \"0.0.0.0:80\" is not a loopback address, so TLS is "
             "required; write "
             "[server.tls], or insecure_plaintext = true if something in front of it ends TLS\n"
             "2: error: [server]: listen: \"[::]:80\" is not a loopback address, so TLS is "
             "required; write "
             "[server.tls], or insecure_plaintext = true if something in front of it ends TLS\n"},
        Case{"InsecurePlainText",
             "[server]\ninsecure_plaintext = true\nlisten = [\"0.0.0.0:80\"]\n" STATIC_ROUTE,
             "3: warning: [server]: listen: \"0.0.0.0:80\" serves plain text to other machines "
             "(insecure_plaintext); whoever is on the way can read and reuse every token\n"},
        Case{"TlsFiles",
             "[server]\nlisten = [\"0.0.0.0:443\"]\n[server.tls]\ncertificate = \"x.crt\"\nkey = "
             "\"good.key\"\n" STATIC_ROUTE,
             "4: error: [server.tls]: conf/x.crt: cannot be opened\n"},
        Case{"BothTlsFiles",
             "[server.tls]\ncertificate = \"x.crt\"\nkey = \"x.key\"\n" STATIC_ROUTE,
             "2: error: [server.tls]: conf/x.crt: cannot be opened\n"
             "3: error: [server.tls]: conf/x.key: does not belong to the certificate\n"},
        Case{"TlsMismatch",
             "[server.tls]\ncertificate = \"good.crt\"\nkey = \"x.key\"\nclient_certificate = "
             "\"non\"\n" STATIC_ROUTE,
             "3: error: [server.tls]: conf/x.key: does not belong to the certificate\n"
             "4: error: [server.tls]: client_certificate must be \"none\", \"optional\" or "
             "\"required\", not \"non\"; "
             "did you mean \"none\"?\n"},
        Case{"ClientCertificatesWithoutAnAuthority",
             "[server.tls]\ncertificate = \"good.crt\"\nkey = \"good.key\"\n"
             "client_certificate = \"required\"\n" STATIC_ROUTE,
             "4: error: [server.tls]: client_certificate needs client_ca: name the PEM file of "
             "those who sign your clients' certificates\n"},
        Case{"AnAuthorityThatIsMissing",
             "[server.tls]\ncertificate = \"good.crt\"\nkey = \"good.key\"\n"
             "client_certificate = \"optional\"\nclient_ca = \"x.pem\"\n" STATIC_ROUTE,
             "5: error: [server.tls]: conf/x.pem: cannot be opened\n"},
        Case{"AnAuthorityThatNobodyIsAskedFor",
             "[server.tls]\ncertificate = \"good.crt\"\nkey = \"good.key\"\n"
             "client_ca = \"clients.pem\"\n" STATIC_ROUTE,
             "4: warning: [server.tls]: client_ca alone changes nothing: no client is asked for a "
             "certificate; write client_certificate = \"optional\" or \"required\"\n"},
        Case{"TrustedProxies",
             "[server]\ntrusted_proxies = [\n\"10.0.0.0/8\",\n\"10.0.0.1/8\",\n\"proxy\",\n"
             "\"0.0.0.0/0\",\n\"::/0\",\n]\n" STATIC_ROUTE,
             "4: error: [server]: trusted_proxies: \"10.0.0.1/8\" has bits set behind its prefix; "
             "the block is 10.0.0.0/8\n"
             "5: error: [server]: trusted_proxies: \"proxy\" is not an address block such as "
             "192.0.2.0/24 or 2001:db8::/32\n"
             "6: warning: [server]: trusted_proxies: \"0.0.0.0/0\" lets every client choose the "
             "address that it is seen under; list your proxies' own addresses\n"
             "7: warning: [server]: trusted_proxies: \"::/0\" lets every client choose the "
             "address that it is seen under; list your proxies' own addresses\n"},
        Case{"PublicUrlWithoutTheTlsOfTheListeners",
             "[server]\npublic_url = \"http://a.example\"\n[server.tls]\ncertificate = "
             "\"good.crt\"\nkey = \"good.key\"\n" STATIC_ROUTE,
             "2: warning: [server]: public_url \"http://a.example\" begins with http://, but the "
             "listeners speak TLS: pages of https:// would be refused as foreign\n"},
        Case{"PublicUrlWithAPath",
             "[server]\npublic_url = \"https://a.example/chat\"\n" STATIC_ROUTE,
             "2: error: [server]: public_url \"https://a.example/chat\": an origin has no user, "
             "path, query or "
             "fragment: it ends with the host or port; write for example "
             "\"https://chat.example.com\"\n"},
        Case{"PublicUrlOfAWebSocket", "[server]\npublic_url = \"wss://a.example\"\n" STATIC_ROUTE,
             "2: error: [server]: public_url \"wss://a.example\" must begin with https:// or "
             "http://, as browsers "
             "name a page\n"}),
    kNameOf);

// ---- verifiers

#define VERIFIER \
  "[verifier.v]\ntype = \"jwt\"\nissuer = \"i\"\naudience = [\"a\"]\n"  // lines 1 to 4

INSTANTIATE_TEST_SUITE_P(
    Verifiers, FindingsOf,
    testing::Values(
        Case{"Nothing", "[verifier.v]\n" STATIC_ROUTE,
             "1: error: verifier v: type is missing; write for example type = \"jwt\"\n"},
        Case{
            "MisspeltType", "[verifier.v]\ntype = \"jwr\"\n" STATIC_ROUTE,
            "2: error: verifier v: type must be \"jwt\", \"introspection\", \"session\", \"keys\", "
            "\"certificate\", \"http\" or \"anonymous\", not \"jwr\"; did you mean \"jwt\"?\n"},
        Case{"WithoutAName",
             "[verifier]\ntype = \"jwt\"\nissuer = \"i\"\naudience = [\"a\"]\n[[route]]\npath = "
             "\"/x\"\nhandler = \"echo\"\nverifiers = [\"main\"]\n",
             "1: error: a verifier needs a name, by which routes call it; write [verifier.main]\n"},
        Case{"AsAList", "[[verifier]]\ntype = \"jwt\"\n" STATIC_ROUTE,
             "1: error: a verifier needs a name, by which routes call it; write [verifier.main]\n"},
        Case{"SecretInTheFileItself",
             VERIFIER "algorithms = [\"HS256\"]\nsecret = \"hunter2\"\n" STATIC_ROUTE,
             "6: error: verifier v: secret is read from a file; write secret_file = \"...\"\n"},
        Case{"NotATable", "[verifier]\nv = 1\n" STATIC_ROUTE,
             "2: error: verifier.v must be a table, written [verifier.v], not an integer\n"},
        Case{"TypeAlone", "[verifier.v]\ntype = \"jwt\"\n" STATIC_ROUTE,
             "1: error: verifier v: issuer is missing; write the exact iss of the tokens\n"
             "1: warning: verifier v: has no audience: a token that the issuer made for any other "
             "service is "
             "accepted here\n"
             "1: error: verifier v: algorithms is missing; list what the issuer signs with, such "
             "as [\"ES256\"]\n"
             "1: error: verifier v: has no keys; name them with one of jwks_file, jwks_url, "
             "discovery = true, secret_file and public_key_file\n"},
        Case{"TwoKeySources",
             VERIFIER "algorithms = [\"ES256\"]\njwks_file = \"es256.jwks\"\nsecret_file = "
                      "\"long.secret\"\n" STATIC_ROUTE,
             "1: error: verifier v: has several key sources; keep one of jwks_file, jwks_url, "
             "discovery = true, secret_file and public_key_file\n"},
        Case{"MissingKeyFile",
             VERIFIER "algorithms = [\"ES256\"]\njwks_file = \"none\"\n" STATIC_ROUTE,
             "6: error: verifier v: jwks_file: conf/none: cannot be opened: No such file or "
             "directory\n"},
        Case{"ShortSecret",
             VERIFIER "algorithms = [\"HS256\"]\nsecret_file = \"short.secret\"\n" STATIC_ROUTE,
             "6: error: verifier v: secret_file: secret: the secret is shorter than the hash of "
             "its algorithm "
             "(HS256: 32 bytes)\n"},
        Case{"KeysThatFitNoAlgorithm",
             VERIFIER "algorithms = [\"ES256\"]\njwks_file = \"rs256.jwks\"\n" STATIC_ROUTE,
             "1: error: verifier v: none of the keys can be used with the allowed algorithms; they "
             "are for RS256\n"},
        Case{"Algorithms",
             VERIFIER
             "algorithms = [\"es256\", \"none\"]\njwks_file = \"es256.jwks\"\n" STATIC_ROUTE,
             "5: error: verifier v: algorithms: \"es256\" is not one of \"HS256\", \"HS384\", "
             "\"HS512\", \"RS256\", "
             "\"RS384\", \"RS512\", \"PS256\", \"PS384\", \"PS512\", \"ES256\", \"ES384\", "
             "\"ES512\" or \"EdDSA\"; did "
             "you mean \"ES256\"?\n"
             "5: error: verifier v: algorithms: \"none\" is not one of \"HS256\", \"HS384\", "
             "\"HS512\", \"RS256\", "
             "\"RS384\", \"RS512\", \"PS256\", \"PS384\", \"PS512\", \"ES256\", \"ES384\", "
             "\"ES512\" or \"EdDSA\"\n"},
        Case{"SeveralFamilies",
             VERIFIER
             "algorithms = [\"ES256\", \"RS256\"]\njwks_file = \"es256.jwks\"\n" STATIC_ROUTE,
             "1: warning: verifier v: no route names it\n"
             "5: warning: verifier v: algorithms has several families (ECDSA, RSA) for one key "
             "source; keep what the "
             "issuer signs with\n"},
        Case{"EmptyLists",
             "[verifier.v]\ntype = \"jwt\"\nissuer = \"\"\naudience = []\nalgorithms = "
             "[]\ntoken_types = []\nlogout_token_types = []\nlogout_audience = []\n"
             "jwks_file = \"es256.jwks\"\n" STATIC_ROUTE,
             "3: error: verifier v: issuer must not be empty\n"
             "4: warning: verifier v: has no audience: a token that the issuer made for any other "
             "service is "
             "accepted here\n"
             "5: error: verifier v: algorithms is missing; list what the issuer signs with, such "
             "as [\"ES256\"]\n"
             "6: error: verifier v: token_types must not be empty: no token would be accepted; "
             "leave it out for "
             "\"JWT\" and \"at+jwt\"\n"
             "7: error: verifier v: logout_token_types must not be empty: no token would be accepted; "
             "leave it out for \"logout+jwt\"\n"
             "8: error: verifier v: logout_audience must not be empty; write the client's id at the issuer, "
             "or leave it out where that is in audience\n"},
        Case{"WrongTypesAndKeys",
             "[verifier.v]\ntype = \"jwt\"\nissuer = [\"i\"]\naudience = \"a\"\nalgorithms = "
             "[1]\nleeway = 30\n"
             "token_types = [\"\"]\njwks_file = true\njwks_fil = \"x\"\n" STATIC_ROUTE,
             "3: error: verifier v: issuer must be a string, not a list\n"
             "4: error: verifier v: audience must be a list of strings, in brackets, not a string\n"
             "5: error: verifier v: algorithms must hold strings only, not an integer\n"
             "6: error: verifier v: leeway must be a duration such as \"30s\", not an integer\n"
             "7: error: verifier v: token_types must not hold an empty string\n"
             "8: error: verifier v: jwks_file must be a string, not a boolean\n"
             "9: error: verifier v: unknown key \"jwks_fil\"; did you mean \"jwks_file\"?\n"},
        Case{"Leeway",
             VERIFIER "algorithms = [\"ES256\"]\njwks_file = \"es256.jwks\"\nleeway = "
                      "\"1500ms\"\n" STATIC_ROUTE,
             "7: error: verifier v: leeway must be whole seconds, as the times in a token are\n"},
        Case{"LongLeeway",
             VERIFIER
             "algorithms = [\"ES256\"]\njwks_file = \"es256.jwks\"\nleeway = \"1d\"\n" STATIC_ROUTE,
             "7: error: verifier v: leeway must be from 0s to 1h\n"},
        Case{"ControlCharactersDoNotReachTheTerminal",
             "[verifier.\"a\\u001b[2J\\n\"]\ntype = \"jw\\r\"\n" STATIC_ROUTE,
             "2: error: verifier a?[2J?: type must be \"jwt\", \"introspection\", \"session\", "
             "\"keys\", \"certificate\", \"http\" or \"anonymous\", not \"jw?\"; did you mean "
             "\"jwt\"?\n"}),
    kNameOf);

}  // namespace
}  // namespace sallyport::config
