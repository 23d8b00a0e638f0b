// Each field of both endpoints with every kind of value, through a real connection: status and
// param must be right.
#include <gtest/gtest.h>
#include <spdlog/fmt/fmt.h>

#include <functional>
#include <string>
#include <vector>

#include "server/testing/test_server.h"

namespace mlxs {
namespace {

constexpr const char* kChat = "/v1/chat/completions";
constexpr const char* kCompletion = "/v1/completions";

// One connection for many requests. RETURNS: the status, and the error's param and code.
struct Outcome {
  int status = 0;
  std::string param;
  std::string code;
  std::string body;
};

class Asker {
 public:
  Outcome operator()(const char* path, const std::string& body) {
    client_.send(request_text("POST", path, body));
    const auto response = client_.receive();
    Outcome outcome;
    if (!response) return outcome;
    outcome.status = response->status;
    outcome.body = response->body;
    if (response->status == 200) return outcome;
    const json::value parsed = response->json_body();
    const json::value& param = parsed.at_pointer("/error/param");
    const json::value& code = parsed.at_pointer("/error/code");
    if (param.is_string()) outcome.param = param.as_string();
    if (code.is_string()) outcome.code = code.as_string();
    return outcome;
  }
  Outcome chat(const std::string& more) {
    return (*this)(
        kChat, R"({"model":"fake","messages":[{"role":"user","content":"x"}])" + more + "}"
    );
  }
  Outcome completion(const std::string& more) {
    return (*this)(kCompletion, R"({"model":"fake","prompt":"x")" + more + "}");
  }
  Outcome messages(const std::string& messages) {
    return (*this)(
        kChat, fmt::format(R"({{"model":"fake","max_tokens":1,"messages":{}}})", messages)
    );
  }
  TestServer& server() { return server_; }

 private:
  TestServer server_;
  TestClient client_{server_.port()};
};

// The values around a range, as JSON text.
struct NumericField {
  std::string name;
  std::string below, min, max, above;
  bool is_integer = false;
};

std::vector<NumericField> numeric_fields() {
  return {
      {"temperature", "-0.001", "0", "2", "2.001"},
      {"top_p", "-0.001", "0", "1", "1.001"},
      {"min_p", "-0.001", "0", "1", "1.001"},
      {"repetition_penalty", "0", "0.001", "2", "2.001"},
      {"presence_penalty", "-2.001", "-2", "2", "2.001"},
      {"frequency_penalty", "-2.001", "-2", "2", "2.001"},
      {"top_k", "-2", "-1", "2147483647", "2147483648", true},
      {"seed",
       "-9223372036854775809",
       "-9223372036854775808",
       "9223372036854775807",
       "9223372036854775808",
       true},
      {"n", "0", "1", "16", "17", true},
      {"priority", "-1001", "-1000", "1000", "1001", true},
      // The least deadlines, of 1 ms, may be refused as ones that nothing can meet.
      {"ttft_deadline_ms", "0", "60000", "86400000", "86400001", true},
      {"deadline_ms", "0", "60000", "86400000", "86400001", true},
      {"max_tokens", "0", "1", "100", "2147483648", true},
      {"max_completion_tokens", "0", "1", "100", "2147483648", true},
  };
}

TEST(Fields, NumericMatrix) {
  Asker ask;
  int num_cases = 0;
  for (const char* path : {kChat, kCompletion}) {
    for (const NumericField& field : numeric_fields()) {
      const auto check = [&](const std::string& value, int status, const char* code) {
        SCOPED_TRACE(fmt::format("{} {}={}", path, field.name, value));
        ++num_cases;
        std::string more = fmt::format(R"(,"{}":{})", field.name, value);
        if (!field.name.starts_with("max_")) more += R"(,"max_tokens":2)";
        const Outcome outcome = path == kChat ? ask.chat(more) : ask.completion(more);
        EXPECT_EQ(outcome.status, status) << outcome.body;
        if (status != 200 && code != nullptr) {
          EXPECT_EQ(outcome.param, field.name);
          EXPECT_EQ(outcome.code, code);
        }
      };
      check(field.min, 200, "");
      check(field.max, 200, "");
      check("null", 200, "");
      check(field.below, 400, "invalid_value");
      check(field.above, 400, "invalid_value");
      if (field.name != "seed") check("-9223372036854775808", 400, "invalid_value");
      check("18446744073709551616", 400, "invalid_value");
      check("1e300", 400, "invalid_value");
      check("1e309", 400, nullptr);  // not even a number of JSON
      check("NaN", 400, nullptr);
      check("true", 400, "");
      check("\"1\"", 400, "");
      check("[1]", 400, "");
      check("{}", 400, "");
      if (field.is_integer) check("1.5", 400, "");
      if (field.is_integer) check("1.0", 400, "");
    }
  }
  EXPECT_GE(num_cases, 300);
}

TEST(Fields, TheSaltOfTheCache) {
  Asker ask;
  const std::string longest(64, 's');
  EXPECT_EQ(ask.chat(R"(,"cache_salt":")" + longest + "\"").status, 200);
  for (const std::string& value :
       {std::string("\"\""), "\"" + longest + "s\"", std::string("1"), std::string("[]")}) {
    const Outcome outcome = ask.chat(R"(,"cache_salt":)" + value);
    EXPECT_EQ(outcome.status, 400) << value;
    EXPECT_EQ(outcome.param, "cache_salt") << value;
  }
}

TEST(Fields, WrongTypesOfTheOthers) {
  Asker ask;
  for (const char* name :
       {"stream",
        "parallel_tool_calls",
        "store",
        "logprobs",
        "add_generation_prompt",
        "cache_prompt",
        "explain_cache"}) {
    for (const char* value : {"1", "\"true\"", "[]", "{}"}) {
      const Outcome outcome = ask.chat(fmt::format(R"(,"{}":{})", name, value));
      EXPECT_EQ(outcome.status, 400) << name << value;
      EXPECT_EQ(outcome.param, name);
    }
  }
  for (const char* name : {"user", "safety_identifier", "prompt_cache_key"}) {
    for (const char* value : {"1", "true", "[]", "{}"}) {
      EXPECT_EQ(ask.chat(fmt::format(R"(,"{}":{})", name, value)).param, name) << value;
    }
  }
  for (const char* name : {"tools", "modalities", "stop_token_ids"}) {
    for (const char* value : {"1", "true", "\"x\"", "{}"}) {
      EXPECT_EQ(ask.chat(fmt::format(R"(,"{}":{})", name, value)).param, name) << value;
    }
  }
  for (const char* name : {"logit_bias", "chat_template_kwargs", "metadata", "response_format"}) {
    for (const char* value : {"1", "true", "\"x\"", "[]"}) {
      EXPECT_EQ(ask.chat(fmt::format(R"(,"{}":{})", name, value)).param, name) << value;
    }
  }
}

struct Case {
  const char* more;
  int status;
  const char* param;
  const char* code;
};

void check_cases(
    const std::vector<Case>& cases, const std::function<Outcome(const std::string&)>& ask
) {
  for (const Case& c : cases) {
    SCOPED_TRACE(c.more);
    const Outcome outcome = ask(c.more);
    EXPECT_EQ(outcome.status, c.status) << outcome.body;
    EXPECT_EQ(outcome.param, c.param);
    EXPECT_EQ(outcome.code, c.code);
  }
}

TEST(Fields, CommonTable) {
  Asker ask;
  const std::string many_stops =
      R"(,"stop":["a","b","c","d","e","f","g","h","i","j","k","l","m","n","o","p","q"])";
  const std::vector<Case> cases = {
      {R"(,"max_tokens":2,"stop":null)", 200, "", ""},
      {R"(,"max_tokens":2,"stop":[])", 200, "", ""},
      {R"(,"max_tokens":2,"stop":"x")", 200, "", ""},
      {R"(,"max_tokens":2,"stop":["x","y"])", 200, "", ""},
      {R"(,"stop":"")", 400, "stop", "invalid_value"},
      {R"(,"stop":["a",""])", 400, "stop[1]", "invalid_value"},
      {R"(,"stop":["a",1])", 400, "stop[1]", ""},
      {R"(,"stop":1)", 400, "stop", ""},
      {many_stops.c_str(), 400, "stop", "invalid_value"},
      {R"(,"max_tokens":2,"stop_token_ids":[0,258])", 200, "", ""},
      {R"(,"stop_token_ids":[-1])", 400, "stop_token_ids[0]", "invalid_value"},
      {R"(,"stop_token_ids":[1,1000000])", 400, "stop_token_ids[1]", "invalid_value"},
      {R"(,"max_tokens":2,"logit_bias":{"97":-100,"98":100})", 200, "", ""},
      {R"(,"logit_bias":{"97":-100.5})", 400, "logit_bias.97", "invalid_value"},
      {R"(,"logit_bias":{"97":"x"})", 400, "logit_bias.97", ""},
      {R"(,"logit_bias":{"97":null})", 400, "logit_bias.97", ""},
      {R"(,"logit_bias":{"x":1})", 400, "logit_bias", "invalid_value"},
      {R"(,"logit_bias":{"-1":1})", 400, "logit_bias", "invalid_value"},
      {R"(,"logit_bias":{"1000000":1})", 400, "logit_bias", "invalid_value"},
      {R"(,"logit_bias":{"97":1,"097":2})", 400, "logit_bias", "invalid_value"},
      {R"(,"max_tokens":2,"max_completion_tokens":2)", 200, "", ""},
      {R"(,"max_tokens":2,"max_completion_tokens":3)", 400, "max_tokens", "invalid_value"},
      {R"(,"stream_options":{"include_usage":true})", 400, "stream_options", "invalid_value"},
      {R"(,"max_tokens":2,"stream":true,"stream_options":{})", 200, "", ""},
      {R"(,"stream":true,"stream_options":{"x":1})", 400, "stream_options.x", ""},
      {R"(,"stream":true,"stream_options":{"include_usage":1})",
       400,
       "stream_options.include_usage",
       ""},
      {R"(,"stream":true,"stream_options":7)", 400, "stream_options", ""},
      {R"(,"max_tokens":2,"user":"u","metadata":{"a":"b"},"store":false,"service_tier":"auto")",
       200,
       "",
       ""},
      {R"(,"metadata":{"a":1})", 400, "metadata.a", ""},
      {R"(,"store":true)", 400, "store", "unsupported"},
      {R"(,"service_tier":"flex")", 400, "service_tier", "unsupported"},
      {R"(,"service_tier":"gold")", 400, "service_tier", "invalid_value"},
      {R"(,"guided_json":{"unevaluatedProperties":false})", 400, "guided_json", "unsupported"},
      {R"(,"guided_regex":"(")", 400, "guided_regex", "invalid_value"},
      {R"(,"guided_choice":[1])", 400, "guided_choice[0]", ""},
      {R"(,"guided_regex":"a","guided_choice":["a"])", 400, "guided_choice", "invalid_value"},
      {R"(,"structured_outputs":{})", 400, "structured_outputs", "invalid_value"},
      {R"(,"structured_outputs":{"whitespace_pattern":" "})",
       400,
       "structured_outputs.whitespace_pattern",
       "unsupported"},
      {R"(,"structured_outputs":{"yaml":1})", 400, "structured_outputs.yaml", ""},
      {R"(,"max_tokens":2,"structured_outputs":{"choice":["a","b"]})", 200, "", ""},
      {R"(,"nonsense":1)", 400, "nonsense", ""},
      {R"(,"":1)", 400, "", ""},
      {R"(,"temperature":1,"temperature":1)", 400, "", ""},
      {R"(,"max_tokens":4096)", 400, "*prompt", "context_length_exceeded"},
  };
  for (const char* path : {kChat, kCompletion}) {
    std::vector<Case> own = cases;
    own.back().param = path == kChat ? "messages" : "prompt";
    check_cases(own, [&](const std::string& more) {
      return path == kChat ? ask.chat(more) : ask.completion(more);
    });
  }
}

TEST(Fields, ChatTable) {
  Asker ask;
  const std::vector<Case> cases = {
      {R"(,"max_tokens":2,"logprobs":false,"top_logprobs":0)", 200, "", ""},
      {R"(,"max_tokens":2,"logprobs":true)", 200, "", ""},
      {R"(,"echo":true)", 400, "echo", "unsupported"},
      {R"(,"top_logprobs":2)", 400, "top_logprobs", "invalid_value"},
      {R"(,"top_logprobs":21)", 400, "top_logprobs", "invalid_value"},
      {R"(,"max_tokens":2,"response_format":{"type":"text"})", 200, "", ""},
      {R"(,"max_tokens":2,"response_format":{"type":"json_object"})", 200, "", ""},
      {R"(,"response_format":{"type":"json_schema","json_schema":{}})",
       400,
       "response_format.json_schema.schema",
       ""},
      {R"(,"response_format":{"type":"yaml"})", 400, "response_format.type", "invalid_value"},
      {R"(,"response_format":{})", 400, "response_format.type", ""},
      {R"(,"max_tokens":2,"modalities":["text"])", 200, "", ""},
      {R"(,"modalities":["audio"])", 400, "modalities", "unsupported"},
      {R"(,"reasoning_effort":"low")", 400, "reasoning_effort", "unsupported"},
      {R"(,"functions":[])", 400, "functions", "unsupported"},
      {R"(,"chat_template":"x")", 400, "chat_template", "unsupported"},
      {R"(,"max_tokens":2,"chat_template_kwargs":{"enable_thinking":false})", 200, "", ""},
      {R"(,"chat_template_kwargs":{"messages":[]})", 400, "chat_template_kwargs", "invalid_value"},
      {R"(,"chat_template_kwargs":{"a b":1})", 400, "chat_template_kwargs", "invalid_value"},
      {R"(,"max_tokens":2,"tools":[{"type":"function","function":{"name":"f"}}],"tool_choice":"none")",
       200,
       "",
       ""},
      {R"(,"tool_choice":"required")", 400, "tool_choice", "invalid_value"},
      {R"(,"tool_choice":{"type":"function"})", 400, "tool_choice.function.name", ""},
      {R"(,"tool_choice":{"type":"custom"})", 400, "tool_choice.type", "unsupported"},
      {R"(,"thinking_token_budget":5)", 400, "thinking_token_budget", "unsupported"},
      {R"(,"thinking_token_budget":-1)", 400, "thinking_token_budget", "invalid_value"},
      {R"(,"tool_choice":"maybe")", 400, "tool_choice", "invalid_value"},
      {R"(,"tool_choice":1)", 400, "tool_choice", ""},
      {R"(,"tools":[1])", 400, "tools[0]", ""},
      {R"(,"tools":[{"type":"x"}])", 400, "tools[0].type", "invalid_value"},
      {R"(,"tools":[{"function":{"name":"f"}}])", 400, "tools[0].type", ""},
      {R"(,"tools":[{"type":"function"}])", 400, "tools[0].function", ""},
      {R"(,"tools":[{"type":"function","function":{}}])", 400, "tools[0].function.name", ""},
      {R"(,"tools":[{"type":"function","function":{"name":"a b"}}])",
       400,
       "tools[0].function.name",
       "invalid_value"},
      {R"(,"tools":[{"type":"function","function":{"name":"f","parameters":[]}}])",
       400,
       "tools[0].function.parameters",
       ""},
      {R"(,"prompt":"x")", 400, "prompt", ""},
  };
  check_cases(cases, [&](const std::string& more) { return ask.chat(more); });
}

TEST(Fields, MessageTable) {
  Asker ask;
  const std::vector<Case> cases = {
      {R"([{"role":"user","content":"x"}])", 200, "", ""},
      {R"([{"role":"developer","content":"x"},{"role":"user","name":"n","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}])",
       200,
       "",
       ""},
      {R"([{"role":"assistant","content":null,"refusal":null,"annotations":null,"audio":null,"function_call":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},{"role":"tool","tool_call_id":"1","content":"2"}])",
       200,
       "",
       ""},
      {R"([])", 400, "messages", "invalid_value"},
      {R"({})", 400, "messages", ""},
      {R"("x")", 400, "messages", ""},
      {R"(null)", 400, "messages", ""},
      {R"([1])", 400, "messages[0]", ""},
      {R"([{}])", 400, "messages[0].role", ""},
      {R"([{"role":1,"content":"x"}])", 400, "messages[0].role", ""},
      {R"([{"role":"king","content":"x"}])", 400, "messages[0].role", "invalid_value"},
      {R"([{"role":"user"}])", 400, "messages[0].content", ""},
      {R"([{"role":"user","content":null}])", 400, "messages[0].content", ""},
      {R"([{"role":"assistant","content":null}])", 400, "messages[0].content", ""},
      {R"([{"role":"user","content":1}])", 400, "messages[0].content", ""},
      {R"([{"role":"user","content":[]}])", 400, "messages[0].content", "invalid_value"},
      {R"([{"role":"user","content":["x"]}])", 400, "messages[0].content[0]", ""},
      {R"([{"role":"user","content":[{"text":"x"}]}])", 400, "messages[0].content[0].type", ""},
      {R"([{"role":"user","content":[{"type":"text"}]}])", 400, "messages[0].content[0].text", ""},
      {R"([{"role":"user","content":[{"type":"text","text":1}]}])",
       400,
       "messages[0].content[0].text",
       ""},
      {R"([{"role":"user","content":"x"},{"role":"user","content":[{"type":"text","text":"x"},{"type":"image_url","image_url":{"url":"data:"}}]}])",
       400,
       "messages[1].content[1].type",
       "unsupported"},
      {R"([{"role":"user","content":"x","weird":1}])", 400, "messages[0].weird", ""},
      {R"([{"role":"user","content":"x","tool_calls":[]}])", 400, "messages[0].tool_calls", ""},
      {R"([{"role":"tool","content":"x"}])", 400, "messages[0].tool_call_id", ""},
      {R"([{"role":"assistant","tool_calls":[]}])", 400, "messages[0].tool_calls", "invalid_value"},
      {R"([{"role":"assistant","tool_calls":[{"type":"function"}]}])",
       400,
       "messages[0].tool_calls[0].function",
       ""},
      {R"([{"role":"assistant","tool_calls":[{"type":"function","function":{"name":"f","arguments":"{"}}]}])",
       400,
       "messages[0].tool_calls[0].function.arguments",
       "invalid_value"},
      {R"([{"role":"assistant","tool_calls":[{"type":"function","function":{"name":"f","arguments":"[]"}}]}])",
       400,
       "messages[0].tool_calls[0].function.arguments",
       "invalid_value"},
      {R"([{"role":"assistant","content":"x","function_call":{}}])",
       400,
       "messages[0].function_call",
       "unsupported"},
  };
  check_cases(cases, [&](const std::string& messages) { return ask.messages(messages); });
}

TEST(Fields, CompletionTable) {
  Asker ask;
  const std::vector<Case> cases = {
      {R"(,"max_tokens":2,"best_of":1,"suffix":"","echo":false,"logprobs":null)", 200, "", ""},
      {R"(,"max_tokens":2,"n":2,"best_of":2)", 200, "", ""},
      {R"(,"best_of":2)", 400, "best_of", "unsupported"},
      {R"(,"suffix":"x")", 400, "suffix", "unsupported"},
      {R"(,"max_tokens":2,"logprobs":0)", 200, "", ""},
      {R"(,"logprobs":21)", 400, "logprobs", "invalid_value"},
      {R"(,"logprobs":true)", 400, "logprobs", ""},
      {R"(,"max_tokens":2,"response_format":{"type":"text"})", 200, "", ""},
      {R"(,"messages":[])", 400, "messages", ""},
  };
  check_cases(cases, [&](const std::string& more) { return ask.completion(more); });
}

TEST(Fields, PromptTable) {
  Asker ask;
  std::string too_many = "[\"a\"";
  for (int i = 0; i < 64; ++i) too_many += ",\"a\"";
  too_many += "]";
  const std::vector<Case> cases = {
      {R"("x")", 200, "", ""},
      {"[1,2,3]", 200, "", ""},
      {"null", 400, "prompt", ""},
      {"1", 400, "prompt", ""},
      {"{}", 400, "prompt", ""},
      {"[]", 400, "prompt", "invalid_value"},
      {"[[]]", 400, "prompt[0]", "invalid_value"},
      {R"(["a",1])", 400, "prompt", ""},
      {R"([1,"a"])", 400, "prompt[1]", ""},
      {R"(["a",[1]])", 400, "prompt", ""},
      {"[-1]", 400, "prompt[0]", "invalid_value"},
      {"[1,259000]", 400, "prompt[1]", "invalid_value"},
      {"[[1],[2,259000]]", 400, "prompt[1][1]", "invalid_value"},
      {"[1.5]", 400, "prompt[0]", ""},
      {"[true]", 400, "prompt[0]", ""},
      {too_many.c_str(), 400, "prompt", "invalid_value"},
  };
  check_cases(cases, [&](const std::string& prompt) {
    return ask(
        kCompletion, fmt::format(R"({{"model":"fake","max_tokens":1,"prompt":{}}})", prompt)
    );
  });
}

TEST(Fields, ModelTable) {
  Asker ask;
  const auto outcome_of = [&](const std::string& model) {
    return ask(kCompletion, fmt::format(R"({{{}"prompt":"x","max_tokens":1}})", model));
  };
  EXPECT_EQ(outcome_of(R"("model":"fake",)").status, 200);
  for (const char* name : {"other", "", "Fake", "../fake", "fake/../fake"}) {
    const Outcome outcome = outcome_of(fmt::format(R"("model":"{}",)", name));
    EXPECT_EQ(outcome.status, 404) << name;
    EXPECT_EQ(outcome.param, "model");
    EXPECT_EQ(outcome.code, "model_not_found");
    EXPECT_NE(outcome.body.find("serves fake"), std::string::npos);
  }
  for (const char* model : {"", R"("model":null,)", R"("model":1,)"}) {
    const Outcome outcome = outcome_of(model);
    EXPECT_EQ(outcome.status, 400) << model;
    EXPECT_EQ(outcome.param, "model");
  }
}

TEST(Fields, MalformedBodies) {
  Asker ask;
  for (const char* path : {kChat, kCompletion}) {
    for (const std::string& body : std::vector<std::string>{
             "{",
             "[]",
             "null",
             "1",
             "\"x\"",
             "{}{}",
             "{\"model\":\"fake\",}",
             "\xff\xfe",
             "{\"model\":\"\xff\"}",
             "{\"model\":\"\\ud800\"}",
             "{'model':'fake'}",
             "{\"a\":1,\"a\":2}",
             "{\"a\":01}",
             "{\"a\":+1}",
             "{\"a\":Infinity}",
             "// x\n{}",
             std::string("{}\0", 3)
         }) {
      const Outcome outcome = ask(path, body);
      EXPECT_EQ(outcome.status, 400) << body;
      EXPECT_EQ(outcome.code, "") << outcome.body;
    }
  }
  EXPECT_EQ(ask.server().post(kChat, "").status, 400);
}

}  // namespace
}  // namespace mlxs
