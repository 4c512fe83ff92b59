#include "core/auth/inband.h"

#include <gtest/gtest.h>

#include <boost/json/value.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/json.h"

namespace sallyport::auth {
namespace {

using namespace std::string_literals;

constexpr base::JsonLimits kWide{.bytes = 4 * 1024 * 1024, .depth = 80};

ControlMessage parsed(std::string_view text) {
  auto message = parse_control(text);
  EXPECT_TRUE(message.has_value()) << text;
  return message ? std::move(*message) : ControlMessage{};
}

// The id that the answer to a refused message can name; "accepted" if it is not refused.
std::string fault_of(std::string_view text) {
  const auto message = parse_control(text);
  return message ? "accepted" : message.error().id;
}

// ---- The cheap look

TEST(ControlType, IsTheTypeOfAnObjectThatBeginsWithIt) {
  EXPECT_EQ(control_type(R"({"type":"auth","token":"T"})"), "auth");
  EXPECT_EQ(control_type(R"({"type":"anything at all"})"), "anything at all");
  EXPECT_EQ(control_type(R"({"type":""})"), "");
}

TEST(ControlType, SeesThroughWhiteSpace) {
  EXPECT_EQ(control_type(" \t\r\n{ \t\r\n\"type\" \t\r\n: \t\r\n\"auth\" }"), "auth");
  EXPECT_EQ(control_type("{\n\"type\"\n:\n\"refresh\"\n,\"token\":\"T\"}"), "refresh");
  // Not white space in JSON (RFC 8259 section 2), so not JSON either.
  for (const char* const text : {"\xEF\xBB\xBF{\"type\":\"auth\"}", "\xC2\xA0{\"type\":\"auth\"}",
                                 "\f{\"type\":\"auth\"}", "{\v\"type\":\"auth\"}"}) {
    EXPECT_EQ(control_type(text), std::nullopt) << text;
    EXPECT_FALSE(parse_control(text).has_value()) << text;
  }
}

TEST(ControlType, SeesThroughEveryEscapedSpelling) {
  const std::string token = R"(,"token":"T"})";
  const std::vector<std::string> names{R"("type")",          R"("\u0074ype")",
                                       R"("t\u0079pe")",     R"("ty\u0070e")",
                                       R"("typ\u0065")",     R"("\u0074\u0079\u0070\u0065")",
                                       R"("t\u0079\u0070e")"};
  const std::vector<std::string> values{R"("auth")", R"("\u0061uth")", R"("a\u0075th")",
                                        R"("aut\u0068")", R"("\u0061\u0075\u0074\u0068")"};
  for (const std::string& name : names) {
    for (const std::string& value : values) {
      const std::string text = "{" + name + ":" + value + token;
      EXPECT_EQ(control_type(text), "auth") << text;
      EXPECT_EQ(parsed(text).type, ControlType::kAuth) << text;
      EXPECT_EQ(parsed(text).token.reveal(), "T") << text;
    }
  }
}

TEST(ControlType, IsNothingForWhatIsNoControlMessage) {
  for (const char* const text : {"",
                                 " ",
                                 "{",
                                 "{}",
                                 "[]",
                                 "null",
                                 "auth",
                                 "\"type\"",
                                 R"(["type","auth"])",
                                 R"({"type"})",
                                 R"({"type":)",
                                 R"({"type":1})",
                                 R"({"type":null})",
                                 R"({"type":["auth"]})",
                                 R"({"type":{"type":"auth"}})",
                                 R"({"type" "auth"})",
                                 R"({"type":"auth)",
                                 R"({"typ)",
                                 R"({"t)",
                                 R"({")",
                                 R"({"\)",
                                 R"({"type":"\)",
                                 R"({"Type":"auth"})",
                                 R"({"TYPE":"auth"})",
                                 R"({"type ":"auth"})",
                                 R"({"types":"auth"})",
                                 R"({"typ\u0000e":"auth"})",
                                 R"({"ty\pe":"auth"})",
                                 R"({type:"auth"})",
                                 R"({'type':'auth'})",
                                 R"(x{"type":"auth"})",
                                 R"({{"type":"auth"}})",
                                 R"({,"type":"auth"})"}) {
    EXPECT_EQ(control_type(text), std::nullopt) << text;
  }
}

TEST(ControlType, LooksAtTheFirstMemberAlone) {
  EXPECT_EQ(control_type(R"({"token":"T","type":"auth"})"), std::nullopt);
  EXPECT_EQ(control_type(R"({"t":"x","type":"auth"})"), std::nullopt);
  EXPECT_EQ(control_type(R"({"\u0074":"x","type":"auth"})"), std::nullopt);
  EXPECT_EQ(control_type(R"({"data":{"type":"auth"}})"), std::nullopt);
}

TEST(ControlType, DoesNotJudgeTheRest) {
  EXPECT_EQ(control_type(R"({"type":"auth" this is not JSON)"), "auth");
  EXPECT_EQ(control_type(R"({"type":"auth","type":"x"})"), "auth");
}

TEST(ControlType, StopsLookingAtALongName) {
  const std::string padding(1'000'000, 'x');
  EXPECT_EQ(control_type("{\"t" + padding + "\":\"auth\"}"), std::nullopt);
  EXPECT_EQ(control_type("{\"type\":\"" + padding + "\"}"), std::nullopt);
  EXPECT_EQ(control_type(std::string(1'000'000, ' ') + "{\"type\":\"auth\"}"), "auth");
  EXPECT_EQ(control_type(std::string(1'000'000, ' ')), std::nullopt);
}

// ---- Control messages

TEST(ParseControl, TakesTheTokenOfAuthAndRefresh) {
  const ControlMessage auth = parsed(R"({"type":"auth","token":"abc.def","resume":"R","id":1})");
  EXPECT_EQ(auth.type, ControlType::kAuth);
  EXPECT_EQ(auth.token.reveal(), "abc.def");
  EXPECT_EQ(auth.id, "1");
  const ControlMessage refresh = parsed(R"({"type":"refresh","token":"\u0061\/b"})");
  EXPECT_EQ(refresh.type, ControlType::kRefresh);
  EXPECT_EQ(refresh.token.reveal(), "a/b");
  EXPECT_EQ(refresh.id, "");
}

TEST(ParseControl, TakesWhereAnotherConnectionStopped) {
  const ControlMessage auth = parsed(R"({"type":"auth","token":"T","resume":"R\u0031","received":17})");
  EXPECT_EQ(auth.type, ControlType::kAuth);
  EXPECT_EQ(auth.resume.reveal(), "R1");
  EXPECT_EQ(auth.received, 17U);
  const ControlMessage resume = parsed(R"({"type":"resume","resume":"R","id":3})");
  EXPECT_EQ(resume.type, ControlType::kResume);
  EXPECT_EQ(resume.resume.reveal(), "R");
  EXPECT_FALSE(resume.received);
  EXPECT_EQ(resume.id, "3");
  for (const char* const text : {R"({"type":"auth","token":"T"})", R"({"type":"auth","token":"T","resume":null})"}) {
    EXPECT_TRUE(parsed(text).resume.empty()) << text;
  }
  EXPECT_TRUE(parsed(R"({"type":"refresh","token":"T","resume":7})").resume.empty());
}

TEST(ParseControl, RefusesAWishToResumeThatIsNone) {
  for (const char* const rest :
       {R"(,"resume":"")", R"(,"resume":7)", R"(,"resume":["R"])", R"(,"resume":"R","received":-1)",
        R"(,"resume":"R","received":"1")", R"(,"resume":"R","received":1.5)", R"(,"resume":"R","received":null)",
        R"(,"resume":"R","received":9223372036854775808)", R"(,"resume":"R","resume":"R")"}) {
    const std::string text = std::string(R"({"type":"auth","token":"T","id":4)") + rest + "}";
    const auto message = parse_control(text);
    EXPECT_FALSE(message) << text;
  }
  EXPECT_EQ(fault_of(R"({"type":"resume","id":4})"), "4");
  EXPECT_EQ(fault_of(R"({"type":"resume","resume":null,"id":4})"), "4");
  EXPECT_EQ(fault_of(R"({"type":"resume","token":"T","id":4})"), "4");
}

TEST(ParseControl, RefusesATokenThatIsNotThereOrNoText) {
  for (const std::string type : {"auth", "refresh"}) {
    for (const char* const rest :
         {"", R"(,"token":"")", R"(,"token":null)", R"(,"token":7)", R"(,"token":["T"])",
          R"(,"token":{"token":"T"})", R"(,"Token":"T")", R"(,"data":{"token":"T"})"}) {
      const std::string text = "{\"type\":\"" + type + "\"" + rest + ",\"id\":4}";
      EXPECT_EQ(fault_of(text), "4") << text;
    }
  }
}

TEST(ParseControl, TakesTheChannelOfTheChannelMessages) {
  const ControlMessage subscribe =
      parsed(R"({"type":"subscribe","channel":"room/\u0062lue","id":"a"})");
  EXPECT_EQ(subscribe.type, ControlType::kSubscribe);
  EXPECT_EQ(subscribe.channel, "room/blue");
  EXPECT_EQ(subscribe.id, "\"a\"");
  EXPECT_EQ(parsed(R"({"type":"unsubscribe","channel":"x"})").type, ControlType::kUnsubscribe);
  const ControlMessage publish = parsed(R"({"type":"publish","channel":"x","data":{"a":[1,2]}})");
  EXPECT_EQ(publish.type, ControlType::kPublish);
  EXPECT_EQ(publish.data, R"({"a":[1,2]})");
}

TEST(ParseControl, RefusesAChannelThatIsNotThereOrNoText) {
  for (const std::string type : {"subscribe", "unsubscribe", "publish"}) {
    for (const char* const rest : {"", R"(,"channel":null)", R"(,"channel":7)",
                                   R"(,"channel":["x"])", R"(,"Channel":"x")"}) {
      const std::string text = "{\"type\":\"" + type + "\"" + rest + ",\"data\":1,\"id\":4}";
      EXPECT_EQ(fault_of(text), "4") << text;
    }
  }
  EXPECT_EQ(fault_of(R"({"type":"publish","channel":"x","id":4})"), "4") << "nothing to publish";
}

TEST(ParseControl, KnowsFiveTypes) {
  for (const char* const type : {"", "Auth", "auth ", "AUTH", "ready", "message", "error", "ping",
                                 "authx", "aut", "published", "auth\\u0000"}) {
    EXPECT_EQ(fault_of("{\"type\":\""s + type + R"(","token":"T","channel":"x","data":1,"id":4})"),
              "4")
        << type;
  }
  for (const char* const type : {"1", "null", "true", "[\"auth\"]", "{}"}) {
    EXPECT_EQ(fault_of("{\"type\":"s + type + R"(,"token":"T","id":4})"), "4") << type;
  }
}

TEST(ParseControl, DemandsTheTypeAsTheFirstMember) {
  EXPECT_EQ(fault_of(R"({"token":"T","type":"auth","id":4})"), "4");
  EXPECT_EQ(fault_of(R"({"id":4,"type":"auth","token":"T"})"), "4");
  EXPECT_EQ(fault_of(R"({"id":4})"), "4");
  EXPECT_EQ(fault_of(R"({})"), "");
}

TEST(ParseControl, RefusesAMemberNamedTwiceInWhateverSpelling) {
  for (const char* const text : {R"({"type":"auth","token":"T","token":"U"})",
                                 R"({"type":"auth","token":"T","\u0074oken":"U"})",
                                 R"({"type":"auth","type":"auth","token":"T"})",
                                 R"({"type":"x","\u0074ype":"auth","token":"T"})",
                                 R"({"type":"auth","token":"T","id":1,"id":1})",
                                 R"({"type":"auth","token":"T","x":1,"x":1})",
                                 R"({"type":"publish","channel":"x","data":{"a":1,"a":2}})",
                                 R"({"type":"publish","channel":"x","data":1,"dat\u0061":2})"}) {
    EXPECT_EQ(fault_of(text), "") << text;
  }
}

TEST(ParseControl, IgnoresFurtherMembers) {
  EXPECT_EQ(
      parsed(R"({"type":"auth","x":[{"token":"no"}],"token":"T","y":"token"})").token.reveal(),
      "T");
}

TEST(ParseControl, RefusesWhatIsNotOneStrictObject) {
  for (const std::string& text :
       {""s, "{"s, "[]"s, "null"s, "\"auth\""s, R"([{"type":"auth","token":"T"}])"s,
        R"({"type":"auth","token":"T"} x)"s, R"({"type":"auth","token":"T"}{})"s,
        R"({"type":"auth","token":"T",})"s, R"({"type":"auth","token":'T'})"s,
        R"({"type":"auth","token":"T"})"s + '\0', "{\"type\":\"auth\",\"token\":\"\xFF\"}"s,
        "{\"type\":\"auth\",\"token\":\"a\nb\"}"s, R"({"type":"auth","token":"\ud800"})"s,
        R"({"type":"auth","token":"T",/**/"id":1})"s,
        R"({"type":"publish","channel":"x","data":})"s,
        R"({"type":"publish","channel":"x","data":01})"s,
        R"({"type":"publish","channel":"x","data":NaN})"s}) {
    EXPECT_EQ(fault_of(text), "") << text;
  }
}

// ---- Ids

TEST(ParseControl, GivesAnIdBackAsItWasWritten) {
  const auto id_of = [](const std::string& id) {
    const std::string text = R"({"type":"subscribe","channel":"x","id":)" + id + "}";
    EXPECT_EQ(fault_of(R"({"type":"nothing","id":)" + id + "}"), parsed(text).id);
    return parsed(text).id;
  };
  for (const char* const id : {"1", "0", "-0", "1.50", "1e3", "123456789012345678901234567890",
                               "9007199254740993", "\"\"", "\"a\"", "\"\\u0061\"", "\"\\\"\"",
                               "\"\\\\\"", "\"},{\"", "\"\xC3\xA9\"", "\"id\"", "\"a\\\\\""}) {
    EXPECT_EQ(id_of(id), id);
  }
  EXPECT_EQ(id_of(" \n7\t "), "7");
}

TEST(ParseControl, TakesTheIdThatIsAMemberOfTheMessageItself) {
  EXPECT_EQ(parsed(R"({"type":"publish","channel":"id","data":{"id":1},"id":2})").id, "2");
  EXPECT_EQ(parsed(R"({"type":"publish","channel":"x","data":[{"id":1}],"i\u0064":2})").id, "2");
  EXPECT_EQ(parsed(R"({"type":"publish","channel":"x","data":{"id":1}})").id, "");
  EXPECT_EQ(parsed(R"({"type":"publish","id":3,"channel":"\"id\":9","data":"\"id\":8"})").id, "3");
}

TEST(ParseControl, RefusesAnIdThatIsNeitherTextNorNumberOrTooLong) {
  for (const char* const id : {"null", "true", "[1]", "{}", "1e999"}) {
    EXPECT_EQ(fault_of(R"({"type":"subscribe","channel":"x","id":)"s + id + "}"), "") << id;
  }
  const auto with_length = [](std::size_t bytes) {
    return R"({"type":"subscribe","channel":"x","id":")" + std::string(bytes - 2, 'i') + "\"}";
  };
  EXPECT_EQ(parsed(with_length(128)).id.size(), 128U);
  EXPECT_EQ(fault_of(with_length(129)), "");
}

// ---- Publications

TEST(ParseControl, GivesDataToTheSubscribersAsItWasWritten) {
  for (const char* const data : {"1",
                                 "-0",
                                 "1.50",
                                 "1E+2",
                                 "9007199254740993",
                                 "123456789012345678901234567890",
                                 "0.1e-7",
                                 "null",
                                 "true",
                                 "\"\"",
                                 "\"a\\u0062\\/\"",
                                 "\"\\\\\"",
                                 "\"\\\"\"",
                                 "\"}\"",
                                 "\"],\\\"id\\\":1\"",
                                 "[]",
                                 "{}",
                                 "{ \"a\" : [ 1 , 2.0 ] }",
                                 "[{\"data\":1},{\"data\":{\"data\":2}}]",
                                 "{\"type\":\"auth\"}",
                                 "\"\xF0\x9D\x84\x9E\""}) {
    const std::string head = R"({"type":"publish","channel":"data",)";
    EXPECT_EQ(parsed(head + "\"data\":" + data + "}").data, data);
    EXPECT_EQ(parsed(head + "\"data\" : \t" + data + "\r\n , \"id\":1}").data, data);
    EXPECT_EQ(
        parsed(head + "\"x\":{\"data\":0},\"d\\u0061ta\":" + data + ",\"y\":[\"data\"]}").data,
        data);
  }
}

TEST(ParseControl, TakesHugeData) {
  std::string data = "[";
  for (int i = 0; i < 200'000; ++i) data += std::to_string(i) + ",";
  data += "\"" + std::string(1'000'000, 'x') + "\"]";
  const std::string text = R"({"type":"publish","channel":"x","data":)" + data + R"(,"id":1})";
  EXPECT_EQ(parsed(text).data, data);
  EXPECT_EQ(parsed(text).id, "1");
}

TEST(ParseControl, TakesDataToADepthAndNotDeeper) {
  const auto nested = [](std::size_t levels) {
    return R"({"type":"publish","channel":"x","data":)" + std::string(levels, '[') +
           std::string(levels, ']') + "}";
  };
  EXPECT_EQ(parsed(nested(63)).data.size(), 126U);
  EXPECT_EQ(fault_of(nested(64)), "");
  EXPECT_EQ(fault_of(nested(1'000'000)), "");
  EXPECT_EQ(fault_of(R"({"type":"publish","channel":"x","data":)" + std::string(1'000'000, '[')),
            "");
}

// ---- The public test suite, as messages and within them

TEST(ParseControl, SurvivesThePublicTestSuite) {
  const std::filesystem::path folder =
      std::filesystem::path(SALLYPORT_VECTORS_DIR) / "jsontestsuite";
  if (!std::filesystem::is_directory(folder)) GTEST_SKIP() << "no test vectors at " << folder;
  int seen = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() != ".json") continue;
    ++seen;
    const std::string name = entry.path().filename().string();
    std::ifstream file(entry.path(), std::ios::binary);
    const std::string document(std::istreambuf_iterator<char>(file), {});
    // None of them is a control message.
    EXPECT_EQ(control_type(document), std::nullopt) << name;
    EXPECT_FALSE(parse_control(document).has_value()) << name;

    const std::string publish = R"({"type":"publish","channel":"x","data":)" + document + "}";
    EXPECT_EQ(control_type(publish), "publish") << name;
    const auto message = parse_control(publish);
    if (name.starts_with("n_") || name.starts_with("y_object_duplicated_key")) {
      EXPECT_FALSE(message.has_value()) << name;
    } else if (name.starts_with("y_")) {
      ASSERT_TRUE(message.has_value()) << name;
      const std::size_t start = document.find_first_not_of(" \t\r\n");
      EXPECT_EQ(message->data,
                document.substr(start, document.find_last_not_of(" \t\r\n") + 1 - start))
          << name;
    }
    if (!message) continue;
    EXPECT_TRUE(base::parse_json(publication("x", "alice", message->data), kWide).has_value())
        << name;
  }
  EXPECT_EQ(seen, 318);
}

// ---- What the server says

base::WallTime at(std::int64_t milliseconds) {
  return base::WallTime(base::Milliseconds(milliseconds));
}

TEST(ServerMessages, TellHowToGoOnAndWhereOneDoes) {
  Principal who;
  who.subject = "ada";
  EXPECT_EQ(ready_message("c1", who, "R"),
            R"({"type":"ready","connection":"c1","subject":"ada","expires_at":null,"resume":"R"})");
  EXPECT_EQ(resumed_message({}, false, {}), R"({"type":"resumed","channels":[],"gap":false})");
  EXPECT_EQ(resumed_message({"a", "\"b\""}, true, "4"),
            R"({"type":"resumed","channels":["a","\"b\""],"gap":true,"id":4})");
}

TEST(ServerMessages, SayWhatTheInterfaceSays) {
  Principal who;
  who.subject = "alice";
  who.expires_at = at(1'700'000'000'999);
  EXPECT_EQ(ready_message("c1", who),
            R"({"type":"ready","connection":"c1","subject":"alice","expires_at":1700000000})");
  EXPECT_EQ(refreshed_message(who), R"({"type":"refreshed","expires_at":1700000000})");
  EXPECT_EQ(expiring_message(who, at(1'699'999'970'999)), R"({"type":"expiring","expires_in":30})");
  EXPECT_EQ(channel_answer("subscribed", "room/blue", "7"),
            R"({"type":"subscribed","channel":"room/blue","id":7})");
  EXPECT_EQ(channel_answer("published", "x", ""), R"({"type":"published","channel":"x"})");
  EXPECT_EQ(error_message("forbidden", "\"a\""),
            R"({"type":"error","reason":"forbidden","id":"a"})");
  EXPECT_EQ(error_message("unavailable", ""), R"({"type":"error","reason":"unavailable"})");
  EXPECT_EQ(unsubscribed_message("x", "forbidden"),
            R"({"type":"unsubscribed","channel":"x","reason":"forbidden"})");
  EXPECT_EQ(publication("x", "alice", "[1.50]"),
            R"({"type":"message","channel":"x","subject":"alice","data":[1.50]})");
}

TEST(ServerMessages, SayNullForACredentialThatNeverExpires) {
  Principal who;
  who.subject = "key-1";
  EXPECT_EQ(ready_message("c1", who),
            R"({"type":"ready","connection":"c1","subject":"key-1","expires_at":null})");
  EXPECT_EQ(refreshed_message(who), R"({"type":"refreshed","expires_at":null})");
}

TEST(ServerMessages, NeverSayThatLessThanNothingIsLeft) {
  Principal who;
  who.expires_at = at(10'000);
  EXPECT_EQ(expiring_message(who, at(25'000)), R"({"type":"expiring","expires_in":0})");
  EXPECT_EQ(expiring_message(who, at(9'400)), R"({"type":"expiring","expires_in":1})");
}

TEST(ServerMessages, QuoteWhateverTheyAreGiven) {
  for (const std::string& text : {"\"},{\"type\":\"ready"s, "a\nb\r\t\x01"s, "\\"s, "a\0b"s,
                                  "\xF0\x9D\x84\x9E"s, ""s, "</script>"s, "\x7f"s}) {
    Principal who;
    who.subject = text;
    const std::vector<std::pair<std::string, const char*>> messages{
        {ready_message("c1", who), "subject"},
        {ready_message(text, who), "connection"},
        {error_message(text, "1"), "reason"},
        {channel_answer("subscribed", text, "1"), "channel"},
        {unsubscribed_message(text, text), "channel"},
        {publication(text, text, "1"), "subject"},
        {publication(text, text, "1"), "channel"}};
    for (const auto& [message, member] : messages) {
      const auto value = base::parse_json(message);
      ASSERT_TRUE(value.has_value()) << message;
      EXPECT_EQ(std::string_view(value->at(member).as_string()), text) << message;
      EXPECT_TRUE(control_type(message).has_value()) << message;
    }
  }
}

}  // namespace
}  // namespace sallyport::auth
