// Stored responses: what is kept, for whom, how many, and over a restart.
#include "server/responses/response_store.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "base/json.h"
#include "mlx_serving/error.h"

namespace mlxs {
namespace {

StoredResponse response(const std::string& id, const std::string& status = "completed") {
  return {
      .id = id,
      .owner = "alice",
      .status = status,
      .response = R"({"id":")" + id + R"(","status":")" + status + R"("})",
      .input = "[]",
      .conversation = "[1]"
  };
}

TEST(ResponseStore, KeepsWhatItIsGiven) {
  ResponseStore store(":memory:", 10);
  StoredResponse given = response("a");
  given.input = std::string("[\"x\\u0000'\xC3\xA9\"]");
  store.insert(given);
  const auto found = store.find("a", "alice");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->status, "completed");
  EXPECT_EQ(found->response, given.response);
  EXPECT_EQ(found->input, given.input);
  EXPECT_EQ(found->conversation, "[1]");
  EXPECT_FALSE(store.find("b", "alice"));
}

TEST(ResponseStore, AnotherOwnerSeesNothing) {
  ResponseStore store(":memory:", 10);
  store.insert(response("a"));
  EXPECT_FALSE(store.find("a", "bob"));
  EXPECT_FALSE(store.find("a", ""));
  EXPECT_FALSE(store.remove("a", "bob"));
  EXPECT_TRUE(store.remove("a", "alice"));
  EXPECT_FALSE(store.remove("a", "alice"));
  EXPECT_FALSE(store.find("a", "alice"));
}

TEST(ResponseStore, OnlyAnUnfinishedResponseIsFinished) {
  ResponseStore store(":memory:", 10);
  store.insert(response("a", "in_progress"));
  EXPECT_TRUE(store.finish(response("a", "cancelled")));
  EXPECT_FALSE(store.finish(response("a", "completed")));
  EXPECT_EQ(store.find("a", "alice")->status, "cancelled");
  EXPECT_FALSE(store.finish(response("b", "completed")));
  EXPECT_FALSE(store.find("b", "alice"));
}

TEST(ResponseStore, TheOldestGo) {
  ResponseStore store(":memory:", 2);
  for (const char* id : {"a", "b", "c"}) store.insert(response(id));
  EXPECT_FALSE(store.find("a", "alice"));
  EXPECT_TRUE(store.find("b", "alice"));
  EXPECT_TRUE(store.find("c", "alice"));
}

TEST(ResponseStore, AFileSurvivesAndUnfinishedResponsesFail) {
  const auto folder = std::filesystem::temp_directory_path() / "mlxs_response_store_test";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directory(folder);
  const std::string path = (folder / "responses.db").string();
  {
    ResponseStore store(path, 10);
    store.insert(response("a"));
    store.insert(response("b", "in_progress"));
  }
  {
    ResponseStore store(path, 10);
    EXPECT_EQ(store.find("a", "alice")->response, response("a").response);
    const auto failed = store.find("b", "alice");
    ASSERT_TRUE(failed);
    EXPECT_EQ(failed->status, "failed");
    EXPECT_EQ(parse_json(failed->response).at("status"), "failed");
    EXPECT_EQ(parse_json(failed->response).at("error").at("code"), "server_error");
  }
  std::filesystem::remove_all(folder);
}

TEST(ResponseStore, AFileThatCannotBeOpenedIsAnError) {
  try {
    ResponseStore store("/nonexistent/folder/responses.db", 10);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::io_error);
  }
}

}  // namespace
}  // namespace mlxs
