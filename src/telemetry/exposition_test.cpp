// Lines of the text format that boards and gateways look for. That a real Prometheus reads the
// whole of it is shown in tests/e2e/test_metrics.py.
#include "telemetry/exposition.h"

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <memory>
#include <string>

#include "mlx_serving/engine.h"
#include "mlx_serving/event.h"
#include "telemetry/collector.h"
#include "telemetry/energy.h"
#include "telemetry/http_metrics.h"

namespace mlxs {
namespace {

using std::chrono::milliseconds;

class Exposition : public ::testing::Test {
 protected:
  Exposition() {
    stats_.num_running = 2;
    stats_.num_waiting = 3;
    stats_.num_pages = 10;
    stats_.num_free_pages = 4;
    stats_.num_cached_pages = 1;
    stats_.scheduler.num_parked = 1;
    const RequestMeter meter(collector_, collector_->key("alice"), {.max_tokens = 7});
    meter.first_token({.since_submission = milliseconds(30), .prompt_tokens = 9, .cached_tokens = 4}
    );
    meter.next_token(milliseconds(20));
    Finish finish;
    finish.reason = FinishReason::length;
    finish.usage = {.prompt_tokens = 9, .cached_tokens = 4, .completion_tokens = 2};
    finish.timings = {.queue_ms = 10.0, .prefill_ms = 20.0, .decode_ms = 20.0};
    meter.finish(finish, milliseconds(50));
  }

  [[nodiscard]] std::string text(MetricNames names) const {
    const std::array models = {
        ModelFigures{.collector = *collector_, .info = info_, .stats = stats_}
    };
    return exposition(models, {.http = http_, .energy = energy_}, names);
  }

  const ModelInfo info_ = {.name = "small", .context_length = 2048};
  const std::shared_ptr<Collector> collector_ =
      std::make_shared<Collector>(CollectorOptions{.model = "small", .context_length = 2048});
  const HttpMetrics http_{{{.method = "GET", .path = "/health"}}};
  const EnergyMeter energy_{EnergySources{}};
  EngineStats stats_;
};

void expect_line(const std::string& text, const std::string& line) {
  EXPECT_NE(("\n" + text).find("\n" + line + "\n"), std::string::npos) << line << "\nin\n" << text;
}

TEST_F(Exposition, HasVllmsNamesAndEdges) {
  const std::string all = text(MetricNames::vllm);
  const std::string labels = R"({model_name="small",engine="0"})";
  expect_line(all, "# TYPE vllm:num_requests_running gauge");
  expect_line(all, "vllm:num_requests_running" + labels + " 2");
  expect_line(all, "vllm:num_requests_waiting" + labels + " 3");
  expect_line(
      all,
      R"(vllm:num_requests_waiting_by_reason{model_name="small",engine="0",reason="deferred"} 1)"
  );
  expect_line(all, "vllm:kv_cache_usage_perc" + labels + " 0.5");
  expect_line(all, "vllm:prompt_tokens_total" + labels + " 9");
  expect_line(all, "vllm:prefix_cache_hits_total" + labels + " 4");
  expect_line(all, "vllm:generation_tokens_total" + labels + " 2");
  expect_line(
      all, R"(vllm:request_success_total{model_name="small",engine="0",finished_reason="length"} 1)"
  );
  const std::string first =
      R"(vllm:time_to_first_token_seconds_bucket{model_name="small",engine="0",le=")";
  expect_line(all, first + R"(0.02"} 0)");
  expect_line(all, first + R"(0.04"} 1)");
  expect_line(all, first + R"(2560"} 1)");
  expect_line(all, first + R"(+Inf"} 1)");
  expect_line(all, "vllm:time_to_first_token_seconds_sum" + labels + " 0.03");
  expect_line(
      all, R"(vllm:inter_token_latency_seconds_bucket{model_name="small",engine="0",le="0.025"} 1)"
  );
  expect_line(
      all, R"(vllm:e2e_request_latency_seconds_bucket{model_name="small",engine="0",le="0.3"} 1)"
  );
  EXPECT_EQ(all.find("mlx_serving_"), std::string::npos);
}

TEST_F(Exposition, HasNamesOfItsOwn) {
  const std::string own = text(MetricNames::own);
  expect_line(own, R"(mlx_serving_requests_total{model="small"} 1)");
  expect_line(own, R"(mlx_serving_requests_finished_total{model="small",reason="length"} 1)");
  expect_line(own, R"(mlx_serving_key_generated_tokens_total{model="small",key="alice"} 2)");
  expect_line(own, R"(mlx_serving_phase_seconds_count{model="small",phase="first_token"} 1)");
  expect_line(own, R"(mlx_serving_pages{model="small",state="held"} 5)");
  EXPECT_EQ(own.find("vllm:"), std::string::npos);
  EXPECT_NE(text(MetricNames::all).find("vllm:"), std::string::npos);
}

TEST_F(Exposition, HasRoutesThatWereAsked) {
  EXPECT_EQ(text(MetricNames::own).find("http_requests_total"), std::string::npos);
  http_.record({.route = 0, .status = 200, .request_bytes = 5, .duration = milliseconds(3)});
  http_.record({.route = 99, .status = 404});
  http_.record({.route = 0, .status = 0});  // nobody was left to answer
  const std::string own = text(MetricNames::own);
  expect_line(own, R"(http_requests_total{handler="/health",method="GET",status="2xx"} 1)");
  expect_line(own, R"(http_requests_total{handler="none",method="none",status="4xx"} 1)");
}

}  // namespace
}  // namespace mlxs
