// The form of a response's answer: typed events in OpenAI's order, and what is stored at its end.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
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
  [[nodiscard]] std::string event(std::string_view type, json::object members);
  [[nodiscard]] json::object place() const;  // of the text: item and indices
  [[nodiscard]] json::array logprobs_of(const std::vector<TokenLogprobs>& logprobs) const;
  [[nodiscard]] Task<void> store();

  const ApiContext& context_;
  ResponseFacts facts_;
  StoredResponse stored_;
  std::int64_t sequence_number_ = 0;
};

}  // namespace mlxs
