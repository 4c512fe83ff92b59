#include "feature/admin/requests.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace sallyport::admin {
namespace {

using std::chrono::milliseconds;

std::string revocation_fault(std::string_view body) {
  const auto request = parse_revocation(body);
  return request ? "none" : request.error();
}

TEST(RevocationBody, TakesEverySelectorAlone) {
  EXPECT_EQ(parse_revocation(R"({"subject":"alice"})")->selector, (Selector{.subject = "alice"}));
  EXPECT_EQ(parse_revocation(R"({"session":"s"})")->selector, (Selector{.session = "s"}));
  EXPECT_EQ(parse_revocation(R"({"token_id":"t"})")->selector, (Selector{.token_id = "t"}));
  EXPECT_EQ(parse_revocation(R"({"issuer":"https://id.example.com/"})")->selector,
            (Selector{.issuer = "https://id.example.com/"}));
  EXPECT_EQ(parse_revocation(R"({"issued_before":1700000000})")->selector,
            (Selector{.issued_before = WallTime(milliseconds(1'700'000'000'000))}));
}

TEST(RevocationBody, TakesAllOfItTogether) {
  const auto request = parse_revocation(
      R"({"issuer":"i","subject":"s","session":"e","token_id":"t","issued_before":1.5,)"
      R"("reason":"logged_out","keep":"36h"})");
  ASSERT_TRUE(request.has_value()) << request.error();
  EXPECT_EQ(request->selector, (Selector{.issuer = "i",
                                         .subject = "s",
                                         .session = "e",
                                         .token_id = "t",
                                         .issued_before = WallTime(milliseconds(1500))}));
  EXPECT_EQ(request->reason, Failure::kLoggedOut);
  EXPECT_EQ(request->keep, std::chrono::hours(36));
}

TEST(RevocationBody, WithoutAReasonMeansTheTokenAndWithoutAKeepTheServersOwn) {
  const auto request = parse_revocation(R"({"subject":"alice"})");
  EXPECT_EQ(request->reason, Failure::kTokenRevoked);
  EXPECT_EQ(request->keep, std::nullopt);
}

TEST(RevocationBody, RoundsAFractionOfAMillisecondUp) {
  EXPECT_EQ(parse_revocation(R"({"issued_before":1700000000.0001})")->selector.issued_before,
            WallTime(milliseconds(1'700'000'000'001)));
}

TEST(RevocationBody, RefusesWhatSelectsNobodyOrCouldSelectOthersThanMeant) {
  EXPECT_EQ(revocation_fault("{}"),
            "name at least one of subject, session, token_id, issuer and issued_before");
  EXPECT_EQ(revocation_fault(R"({"reason":"logged_out"})"),
            "name at least one of subject, session, token_id, issuer and issued_before");
  EXPECT_EQ(revocation_fault(R"({"subject":""})"), "subject must not be empty");
  EXPECT_EQ(revocation_fault(R"({"issuer":"i","session":""})"), "session must not be empty");
  EXPECT_EQ(revocation_fault(R"({"issuer":"i","sub":"alice"})"),
            "the body has a member that is none of subject, session, token_id, issuer, issued_before, "
            "reason, keep");
  EXPECT_EQ(revocation_fault(R"({"subject":"alice","subject":"bob"})"), "the body names a member twice");
  EXPECT_EQ(revocation_fault(R"({"subject":null})"), "subject must be a string");
  EXPECT_EQ(revocation_fault(R"({"subject":["alice"]})"), "subject must be a string");
}

TEST(RevocationBody, RefusesMomentsThatAreNone) {
  EXPECT_EQ(revocation_fault(R"({"issued_before":"1700000000"})"),
            "issued_before must be a number: Unix time in seconds");
  EXPECT_EQ(revocation_fault(R"({"issued_before":-1})"), "issued_before must not be negative");
  EXPECT_EQ(revocation_fault(R"({"issued_before":1700000000000})"),
            "issued_before is in seconds, and lies behind the year 9999");
  EXPECT_EQ(revocation_fault(R"({"issued_before":1e400})"), "the body has a number out of range");
}

TEST(RevocationBody, RefusesReasonsAndTimesThatAreNone) {
  EXPECT_EQ(revocation_fault(R"({"subject":"a","reason":"because"})"),
            "reason must be \"token_revoked\" or \"logged_out\"");
  for (const std::string keep : {"30", "d", "1.5h", "-1h", "+1h", " 1h", "1h ", "1 h", "1w"}) {
    EXPECT_EQ(revocation_fault(R"({"subject":"a","keep":")" + keep + "\"}"),
              "keep must be a duration such as \"30d\" (ms, s, m, h or d)")
        << keep;
  }
  for (const std::string keep : {"0s", "3651d", "9223372036854775807d"}) {
    EXPECT_EQ(revocation_fault(R"({"subject":"a","keep":")" + keep + "\"}"),
              "keep must be longer than nothing and at most ten years")
        << keep;
  }
  EXPECT_EQ(parse_revocation(R"({"subject":"a","keep":"3650d"})")->keep, std::chrono::days(3650));
}

TEST(RevocationBody, RefusesWhatIsNoObject) {
  EXPECT_EQ(revocation_fault(""), "the body is not JSON");
  EXPECT_EQ(revocation_fault(R"({"subject":"a"}{})"), "the body is not JSON");
  EXPECT_EQ(revocation_fault("[]"), "the body must be a JSON object");
  EXPECT_EQ(revocation_fault("\"alice\""), "the body must be a JSON object");
  EXPECT_EQ(revocation_fault(std::string(100, '[') + std::string(100, ']')), "the body is nested too deeply");
}

TEST(PublishBody, HandsTheDataOnAsItWasWritten) {
  const auto publish =
      parse_publish(R"( { "data" : {"n": 1.50, "big":12345678901234567890123} , "channel":"room\/a"})");
  ASSERT_TRUE(publish.has_value()) << publish.error();
  EXPECT_EQ(publish->channel, "room/a");
  EXPECT_EQ(publish->data, R"({"n": 1.50, "big":12345678901234567890123})");
  EXPECT_EQ(parse_publish(R"({"channel":"c","data":null})")->data, "null");
}

TEST(PublishBody, RefusesWhatIsMissingOrTooMuch) {
  const auto fault = [](std::string_view body) {
    const auto publish = parse_publish(body);
    return publish ? "none" : publish.error();
  };
  EXPECT_EQ(fault("{}"), "channel is missing");
  EXPECT_EQ(fault(R"({"channel":"c"})"), "data is missing; null is possible");
  EXPECT_EQ(fault(R"({"channel":"","data":1})"), "channel must not be empty");
  EXPECT_EQ(fault(R"({"channel":7,"data":1})"), "channel must be a string");
  EXPECT_EQ(fault(R"({"channel":"c","data":1,"id":2})"),
            "the body has a member that is none of channel, data");
  EXPECT_EQ(fault(R"({"type":"auth","channel":"c","data":1})"),
            "the body has a member that is none of channel, data");
}

TEST(ConnectionQuery, HasItsDefaultsAndTakesWhatIsAsked) {
  const auto all = parse_connection_query("");
  EXPECT_EQ(all->subject, std::nullopt);
  EXPECT_EQ(all->route, std::nullopt);
  EXPECT_EQ(all->limit, 100U);
  EXPECT_EQ(all->cursor, "");
  const auto some = parse_connection_query("route=%2Fchat%2F%3Aroom&subject=a+b%40c&limit=1000&cursor=1.2");
  EXPECT_EQ(some->subject, "a b@c");
  EXPECT_EQ(some->route, "/chat/:room");
  EXPECT_EQ(some->limit, 1000U);
  EXPECT_EQ(some->cursor, "1.2");
  EXPECT_EQ(parse_connection_query("subject=&limit=&cursor=")->subject, std::nullopt);
}

TEST(ConnectionQuery, RefusesWhatWouldListOthersThanMeant) {
  const auto fault = [](std::string_view query) {
    const auto parsed = parse_connection_query(query);
    return parsed ? "none" : parsed.error();
  };
  EXPECT_EQ(fault("user=alice"), "the query has a parameter that is none of subject, route, limit, cursor");
  EXPECT_EQ(fault("subject=a&subject=b"), "subject is given twice");
  EXPECT_EQ(fault("subject=%ff"), "subject is not well encoded");
  EXPECT_EQ(fault("%zz=1"), "the query has a parameter that is none of subject, route, limit, cursor");
  for (const std::string limit : {"0", "1001", "-1", "1.5", "ten", "10x", "99999999999999999999"}) {
    EXPECT_EQ(fault("limit=" + limit), "limit must be a number from 1 to 1000") << limit;
  }
}

}  // namespace
}  // namespace sallyport::admin
