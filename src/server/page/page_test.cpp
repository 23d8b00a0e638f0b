// The page's files are there, public, and bound by a policy of contents. What it does in a browser
// is in tests/e2e/test_page.py.
#include <gtest/gtest.h>

#include <string>

#include "server/page/page_files.h"
#include "server/testing/test_server.h"

namespace mlxs {
namespace {

TEST(Page, IsServedWithoutAKeyAndLoadsNothingFromElsewhere) {
  ServerOptions options = TestServer::quick_options();
  options.api_key = "secret-key";
  const TestServer server(options);
  const TestResponse page = server.ask("GET", "/");
  ASSERT_EQ(page.status, 200);
  EXPECT_EQ(page.header("content-type"), "text/html; charset=utf-8");
  const std::string policy = page.header("content-security-policy");
  EXPECT_TRUE(policy.starts_with("default-src 'none'; script-src 'self';"));
  EXPECT_EQ(policy.find("unsafe"), std::string::npos);
  for (const PageFile& file : page_files()) {
    if (file.name == "index.html") continue;
    const TestResponse answer = server.ask("GET", "/ui/" + std::string(file.name));
    EXPECT_EQ(answer.status, 200) << file.name;
    EXPECT_EQ(answer.body, file.text);
    EXPECT_EQ(answer.body.find("innerHTML"), std::string::npos);
    EXPECT_EQ(answer.body.find("//cdn"), std::string::npos);
  }
  EXPECT_EQ(
      server.ask("GET", "/ui/app.js").header("content-type"), "text/javascript; charset=utf-8"
  );
  for (const char* path : {"/ui/../server.cpp", "/ui/..%2fserver.cpp", "/ui/", "/ui/index.html"})
    EXPECT_EQ(server.ask("GET", path).status, 401) << path;
  EXPECT_EQ(server.ask("GET", "/v1/status").status, 401);
}

}  // namespace
}  // namespace mlxs
