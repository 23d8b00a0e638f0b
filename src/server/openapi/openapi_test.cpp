// The OpenAPI document has every route, and nothing else.
#include <gtest/gtest.h>

#include <set>
#include <stdexcept>
#include <string>
#include <vector>

#include "server/http/exchange.h"
#include "server/openapi/descriptions.h"
#include "server/openapi/document.h"
#include "server/testing/test_server.h"

namespace mlxs {
namespace {

constexpr Dialect kDialect;

json::value at(const json::value& value, const char* pointer) { return value.at_pointer(pointer); }

void collect_references(const json::value& value, std::set<std::string>& references) {
  if (const auto* array = value.if_array()) {
    for (const json::value& item : *array) collect_references(item, references);
  }
  if (const auto* object = value.if_object()) {
    for (const auto& member : *object) {
      if (member.key() == "$ref") references.insert(std::string(member.value().as_string()));
      collect_references(member.value(), references);
    }
  }
}

// The document is made of the routes and refuses a difference, so that an answer is the proof.
TEST(OpenApi, HasEveryRoute) {
  TestServer server;
  const TestResponse response = server.ask("GET", "/openapi.json");
  ASSERT_EQ(response.status, 200) << response.body;
  const json::value document = response.json_body();
  EXPECT_EQ(at(document, "/openapi"), "3.1.0");
  std::size_t num_operations = 0;
  const json::value paths = at(document, "/paths");
  for (const auto& path : paths.as_object()) {
    for (const auto& operation : path.value().as_object()) {
      ++num_operations;
      EXPECT_FALSE(at(operation.value(), "/summary").as_string().empty()) << path.key();
      std::string method(operation.key());
      for (char& c : method) c = static_cast<char>(c - 'a' + 'A');
      std::string target(path.key());
      if (target.find("{id}") != std::string::npos) target.replace(target.find("{id}"), 4, "none");
      const TestResponse reply = server.ask(method, target, method == "POST" ? "{}" : "");
      EXPECT_NE(reply.status, 405) << target;
      EXPECT_EQ(reply.body.find("there is no "), std::string::npos) << target << reply.body;
    }
  }
  EXPECT_EQ(num_operations, route_descriptions().size());
}

TEST(OpenApi, ReferencesNameSchemas) {
  TestServer server;
  const json::value document = server.ask("GET", "/openapi.json").json_body();
  std::set<std::string> references;
  collect_references(document, references);
  EXPECT_GT(references.size(), 10U);
  for (const std::string& reference : references)
    EXPECT_NO_THROW(static_cast<void>(document.at_pointer(reference.substr(1)))) << reference;
}

TEST(OpenApi, KeysAreWhatThePoliciesAskFor) {
  TestServer server;
  const json::value paths = at(server.ask("GET", "/openapi.json").json_body(), "/paths");
  EXPECT_TRUE(paths.at("/health").at("get").at("security").as_array().empty());
  EXPECT_EQ(paths.at("/v1/models/{id}").at("get").at("security").as_array().size(), 1U);
  EXPECT_EQ(paths.at("/v1/messages").at("post").at("security").as_array().size(), 2U);
  ServerOptions options = TestServer::quick_options();
  options.api_key = "secret";
  TestServer guarded(options);
  for (const auto& path : paths.as_object()) {
    for (const auto& operation : path.value().as_object()) {
      std::string method(operation.key());
      for (char& c : method) c = static_cast<char>(c - 'a' + 'A');
      std::string target(path.key());
      if (target.find("{id}") != std::string::npos) target.replace(target.find("{id}"), 4, "none");
      const bool is_open = operation.value().at("security").as_array().empty();
      EXPECT_EQ(guarded.ask(method, target).status, is_open ? 200 : 401) << target;
    }
  }
}

TEST(OpenApi, ADifferenceIsAnError) {
  const RoutePolicy policy(RouteAccess::open, RouteWork::light, kDialect);
  std::vector<Route> routes;
  for (const RouteDescription& description : route_descriptions())
    routes.push_back({description.method, description.path, policy, {}});
  EXPECT_NO_THROW(static_cast<void>(openapi_document(routes)));
  routes.push_back({"GET", "/none", policy, {}});
  EXPECT_THROW(static_cast<void>(openapi_document(routes)), std::logic_error);
  routes.resize(routes.size() - 2, routes.front());
  EXPECT_THROW(static_cast<void>(openapi_document(routes)), std::logic_error);
}

}  // namespace
}  // namespace mlxs
