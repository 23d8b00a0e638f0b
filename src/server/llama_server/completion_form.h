// The form of /completion's answers.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "mlx_serving/engine.h"
#include "mlx_serving/event.h"
#include "mlx_serving/sampling.h"
#include "server/door/answer_one.h"
#include "server/http/message.h"

namespace mlxs {

// RETURNS: the sampling of a request by llama-server's names.
[[nodiscard]] json::object sampling_object(const SamplingParams& sampling);

struct LlamaReplyFacts {
  const Engine& engine;
  std::string model;
  json::object settings;  // "generation_settings" of the last part
  bool returns_tokens = false;
  bool tells_probabilities = false;
  LogprobsOf probabilities_of = LogprobsOf::model;
};

class LlamaForm final : public DoorForm {
 public:
  explicit LlamaForm(LlamaReplyFacts facts) : facts_(std::move(facts)) {}

  [[nodiscard]] std::string_view stream_type() const override {
    return "text/event-stream; charset=utf-8";
  }
  [[nodiscard]] std::string_view prompt_param() const override { return "prompt"; }
  [[nodiscard]] std::string opening(int prompt_tokens) override;
  [[nodiscard]] std::string delta(const Event& event) override;
  [[nodiscard]] std::string closing(const DoorResult& result) override;
  [[nodiscard]] std::string broken(const HttpFault& fault) override;
  [[nodiscard]] std::string whole(const DoorResult& result) override;

 private:
  void add_probabilities(const std::vector<TokenLogprobs>& logprobs, json::object& part) const;
  [[nodiscard]] json::object last_part(const DoorResult& result) const;

  LlamaReplyFacts facts_;
  int num_prompt_tokens_ = 0;
  std::size_t num_predicted_ = 0;
};

}  // namespace mlxs
