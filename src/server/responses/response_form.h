// The form of a response's answer: typed events in OpenAI's order, and what is stored at its end.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "mlx_serving/event.h"
#include "server/api_context.h"
#include "server/door/answer_one.h"
#include "server/http/message.h"
#include "server/http/task.h"
#include "server/responses/response_object.h"
#include "server/responses/response_store.h"

namespace mlxs {

class ResponseForm final : public DoorForm {
 public:
  // `stored` has the id, owner, input and the conversation up to the answer.
  // REQUIRES: the context outlives it.
  ResponseForm(const ApiContext& context, ResponseFacts facts, StoredResponse stored)
      : context_(context), facts_(std::move(facts)), stored_(std::move(stored)) {}

  [[nodiscard]] const ResponseFacts& facts() const { return facts_; }
  [[nodiscard]] const StoredResponse& stored() const { return stored_; }

  [[nodiscard]] std::string_view stream_type() const override {
    return "text/event-stream; charset=utf-8";
  }
  [[nodiscard]] std::string_view prompt_param() const override { return "input"; }
  [[nodiscard]] std::string opening(int prompt_tokens) override;
  [[nodiscard]] std::string delta(const Event& event) override;
  [[nodiscard]] std::string closing(const DoorResult& result) override;
  [[nodiscard]] std::string broken(const HttpFault& fault) override;
  [[nodiscard]] std::string whole(const DoorResult& result) override;
  [[nodiscard]] Task<void> finished(const DoorResult& result) override;
  [[nodiscard]] Task<void> failed(const HttpFault& fault) override;

 private:
  enum class Open { nothing, reasoning, message, call };

  [[nodiscard]] std::string event(std::string_view type, json::object members);
  [[nodiscard]] json::object place() const;  // of the open item
  [[nodiscard]] std::string open_item(json::object item);
  [[nodiscard]] std::string open_part(json::object part);
  [[nodiscard]] std::string close_item(std::string_view status);
  [[nodiscard]] std::string close_call(std::string_view status);
  [[nodiscard]] std::string close_content(std::string_view status);
  [[nodiscard]] std::string add_reasoning(const std::string& reasoning);
  [[nodiscard]] std::string add_text(
      const std::string& text, const std::vector<TokenLogprobs>& logprobs
  );
  [[nodiscard]] std::string add_call(const ToolCallDelta& piece);
  [[nodiscard]] json::array logprobs_of(const std::vector<TokenLogprobs>& logprobs) const;
  [[nodiscard]] Task<void> store();

  const ApiContext& context_;
  ResponseFacts facts_;
  StoredResponse stored_;
  std::int64_t sequence_number_ = 0;
  Open open_ = Open::nothing;  // the output item that grows
  int num_items_ = 0;
  std::string item_id_;
  std::string content_;           // of the open item
  json::array content_logprobs_;  // likewise
  ToolCallDelta call_;            // likewise
};

}  // namespace mlxs
