#include "server/http/router.h"

#include <gtest/gtest.h>

#include <type_traits>

#include "server/http/access_policy.h"
#include "server/http/message.h"
#include "server/http/service.h"

namespace mlxs {
namespace {

constexpr Dialect kDialect;

// A route needs a policy to compile, and a policy needs everything that it decides.
static_assert(!std::is_default_constructible_v<RoutePolicy>);
static_assert(!std::is_default_constructible_v<Route>);
static_assert(!std::is_constructible_v<RoutePolicy, RouteAccess>);
static_assert(!std::is_constructible_v<RoutePolicy, RouteAccess, RouteWork>);

Router test_router() {
  const RoutePolicy open(RouteAccess::open, RouteWork::light, kDialect);
  const RoutePolicy key(RouteAccess::key, RouteWork::light, kDialect);
  return Router(
      {{"GET", "/a", open, {}},
       {"POST", "/a", key, {}},
       {"GET", "/b/x", key, {}},
       {"GET", "/b/*", key, {}},
       {"POST", "/b/*/c", key, {}}}
  );
}

TEST(Router, MatchesBytesExactly) {
  const Router router = test_router();
  EXPECT_EQ(router.match("GET", "/a").route, &router.routes()[0]);
  EXPECT_EQ(router.match("HEAD", "/a").route, &router.routes()[0]);
  EXPECT_EQ(router.match("POST", "/a").route, &router.routes()[1]);
  EXPECT_EQ(router.match("PUT", "/a").route, nullptr);
  EXPECT_EQ(router.match("PUT", "/a").allow, "GET, HEAD, POST, OPTIONS");
  for (const char* path : {"/A", "/a/", "//a", "/%61", "/b", "/b/", "", "/"})
    EXPECT_TRUE(router.match("GET", path).allow.empty()) << path;
}

TEST(Router, StarTakesTheRest) {
  const Router router = test_router();
  EXPECT_EQ(router.match("GET", "/b/y").tail, "y");
  EXPECT_EQ(router.match("GET", "/b/x/y%2F").tail, "x/y%2F");
}

TEST(Router, AStarWithinAPathTakesWhatIsBetween) {
  const Router router = test_router();
  EXPECT_EQ(router.match("POST", "/b/y/c").tail, "y");
  EXPECT_EQ(router.match("POST", "/b/c").route, nullptr);
  EXPECT_EQ(router.match("POST", "/b//c").route, nullptr);
  EXPECT_EQ(router.match("POST", "/b/y/d").allow, "GET, HEAD, OPTIONS");
}

TEST(Router, TheFirstOfTwoRoutesWins) {
  const Router router = test_router();
  EXPECT_EQ(router.match("GET", "/b/x").route, &router.routes()[2]);
  EXPECT_EQ(router.match("GET", "/b/x").allow, "GET, HEAD, OPTIONS");
}

TEST(Router, DecodesPercents) {
  EXPECT_EQ(percent_decode("a%2Fb%20%41"), "a/b A");
  EXPECT_EQ(percent_decode(""), "");
  for (const char* bad : {"%", "%4", "%zz", "a%-1", "%+1"})
    EXPECT_THROW(static_cast<void>(percent_decode(bad)), HttpError) << bad;
}

TEST(AccessPolicy, ReadsNamesOfAuthorities) {
  EXPECT_EQ(host_name("Example.COM:80"), "example.com");
  EXPECT_EQ(host_name("[::1]:80"), "::1");
  EXPECT_EQ(host_name("[::1]"), "::1");
  for (const char* bad :
       {"",
        ":",
        "a:",
        "a:b",
        "a:1:2",
        "[::1",
        "[]",
        "[::1]x",
        "a b",
        "a/b",
        "a?b",
        "a@b",
        "a:123456"}) {
    EXPECT_EQ(host_name(bad), "") << bad;
  }
}

TEST(Service, LogTextHasNoLineBreaks) {
  EXPECT_EQ(log_safe("a\r\nb\x1b[31m\"\\\xff"), "a\\x0d\\x0ab\\x1b[31m\\x22\\x5c\\xff");
  EXPECT_EQ(log_safe("abcdef", 3), "abc...");
}

TEST(Service, IdsDiffer) {
  IdSource ids;
  const std::string first = ids.next("req_");
  EXPECT_EQ(first.size(), 36U);
  EXPECT_NE(first, ids.next("req_"));
}

}  // namespace
}  // namespace mlxs
