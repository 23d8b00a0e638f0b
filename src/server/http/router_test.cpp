#include "server/http/router.h"

#include <gtest/gtest.h>

#include "server/http/access_policy.h"
#include "server/http/message.h"
#include "server/http/service.h"

namespace mlxs {
namespace {

Router test_router() {
  return Router(
      {{"GET", "/a", RouteAccess::open, {}},
       {"POST", "/a", RouteAccess::key, {}},
       {"GET", "/b/*", RouteAccess::key, {}}}
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
  EXPECT_EQ(router.match("GET", "/b/x").tail, "x");
  EXPECT_EQ(router.match("GET", "/b/x/y%2F").tail, "x/y%2F");
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
