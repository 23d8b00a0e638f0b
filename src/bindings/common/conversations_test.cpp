// The conversations that every door replays, by the C++ door and over HTTP. tests/python and the
// Node package's tests replay the same file.
#include <gtest/gtest.h>

#include <chrono>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "base/json.h"
#include "bindings/common/engine_door.h"
#include "bindings/common/event_hub.h"
#include "bindings/common/server_door.h"
#include "mlx_serving/error.h"
#include "server/testing/test_server.h"

namespace mlxs {
namespace {

using namespace std::chrono_literals;

json::array conversations() {
  std::ifstream file(std::string(MLXS_GOLDEN_DIR) + "/conversations.json");
  return parse_json(std::string(std::istreambuf_iterator<char>(file), {})).as_array();
}

json::value error_object(const Error& error) {
  return {
      {"code", error_name(error.code())},
      {"message", error.what()},
      {"param", error.param().empty() ? json::value(nullptr) : json::value(error.param())}
  };
}

// RETURNS: what the door answers, in the form of the file.
json::value answer_of(EngineDoor& door, const json::value& request) {
  EventHub hub;
  json::value answer{{"choices", json::array{}}};
  json::array& choices = answer.as_object()["choices"].as_array();
  try {
    const auto ids = door.submit(hub, json::serialize(request));
    for (std::size_t i = 0; i < ids.size(); ++i)
      choices.push_back({{"text", ""}, {"token_ids", json::array{}}, {"finish_reason", nullptr}});
  } catch (const Error& error) {
    return {{"error", error_object(error)}};
  }
  while (hub.num_streams() > 0) {
    for (const DoorEvent& event : hub.wait(10s)) {
      json::object& choice = choices.at(event.stream_id - 1).as_object();
      choice["text"].as_string() += event.text;
      for (const auto id : event.token_ids) choice["token_ids"].as_array().push_back(id);
      if (event.finish_json.empty()) continue;
      const json::value finish = parse_json(event.finish_json);
      if (finish.at("error").is_object()) return {{"error", finish.at("error")}};
      choice["finish_reason"] = finish.at("reason");
      choice["prompt_tokens"] = finish.at("usage").at("prompt_tokens");
      choice["completion_tokens"] = finish.at("usage").at("completion_tokens");
    }
  }
  return answer;
}

TEST(Conversations, TheDoorAnswersAsWritten) {
  const auto door = EngineDoor::open("{}");
  int num_replayed = 0;
  for (const json::value& conversation : conversations()) {
    const json::value answer = answer_of(*door, conversation.at("request"));
    EXPECT_EQ(answer, conversation.at("expected"))
        << json::serialize(conversation) << "\ngot " << json::serialize(answer);
    ++num_replayed;
  }
  EXPECT_GE(num_replayed, 20);
}

class HttpReplay {
 public:
  HttpReplay() : door_(EngineDoor::open("{}")), server_(ServerDoor::start(*door_, "{}")) {}

  TestResponse post(const json::value& request, bool is_stream) const {
    json::object body = request.as_object();
    if (!body.contains("model")) body["model"] = "fake";
    if (is_stream) body["stream"] = true;
    TestClient client(server_->port());
    client.send(request_text("POST", path_of(request), json::serialize(body)));
    return client.receive().value_or(TestResponse{});
  }

  static bool is_chat(const json::value& request) {
    return request.as_object().contains("messages");
  }

 private:
  static std::string path_of(const json::value& request) {
    return is_chat(request) ? "/v1/chat/completions" : "/v1/completions";
  }

  std::unique_ptr<EngineDoor> door_;
  std::unique_ptr<ServerDoor> server_;
};

void expect_choices(const json::value& body, const json::value& conversation) {
  const json::array& expected = conversation.at("expected").at("choices").as_array();
  const json::array& choices = body.at("choices").as_array();
  ASSERT_EQ(choices.size(), expected.size());
  for (std::size_t i = 0; i < choices.size(); ++i) {
    const bool is_chat = HttpReplay::is_chat(conversation.at("request"));
    const json::value& text =
        is_chat ? choices[i].at("message").at("content") : choices[i].at("text");
    EXPECT_EQ(text, expected[i].at("text"));
    EXPECT_EQ(choices[i].at("finish_reason"), expected[i].at("finish_reason"));
  }
}

TEST(Conversations, HttpAnswersAsWritten) {
  const HttpReplay replay;
  for (const json::value& conversation : conversations()) {
    SCOPED_TRACE(json::serialize(conversation.at("request")));
    const json::value body = replay.post(conversation.at("request"), false).json_body();
    const json::object& expected = conversation.at("expected").as_object();
    if (const json::value* error = expected.if_contains("error")) {
      // OpenAI's own code for an invalid request is null.
      const json::value& code = error->at("code");
      EXPECT_EQ(body.at("error").at("code"), code == "invalid_request" ? json::value() : code);
      EXPECT_EQ(body.at("error").at("message"), error->at("message"));
      EXPECT_EQ(body.at("error").at("param"), error->at("param"));
    } else {
      expect_choices(body, conversation);
    }
  }
}

TEST(Conversations, HttpStreamsTheSameText) {
  const HttpReplay replay;
  for (const json::value& conversation : conversations()) {
    const json::object& expected = conversation.at("expected").as_object();
    if (expected.contains("error")) continue;
    SCOPED_TRACE(json::serialize(conversation.at("request")));
    std::vector<std::string> texts(expected.at("choices").as_array().size());
    for (const std::string& data : sse_data(replay.post(conversation.at("request"), true).body)) {
      if (data == "[DONE]") continue;
      const json::value chunk = parse_json(data);
      for (const json::value& choice : chunk.at("choices").as_array()) {
        const json::value* text = HttpReplay::is_chat(conversation.at("request"))
                                      ? choice.at("delta").as_object().if_contains("content")
                                      : &choice.at("text");
        if (text != nullptr && text->is_string())
          texts.at(choice.at("index").to_number<std::size_t>()) += text->as_string();
      }
    }
    for (std::size_t i = 0; i < texts.size(); ++i)
      EXPECT_EQ(json::value(texts[i]), expected.at("choices").as_array()[i].at("text"));
  }
}

}  // namespace
}  // namespace mlxs
