// The parts of `top`, `bench serve` and `bench compare` that need no server.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/json.h"
#include "cli/bench_compare.h"
#include "cli/bench_serve.h"
#include "cli/metrics_text.h"
#include "cli/serve_load.h"
#include "cli/serve_report.h"
#include "cli/top_frame.h"

namespace mlxs {
namespace {

TEST(MetricsText, ReadsSamplesAndTheirLabels) {
  const MetricsText text(
      "# HELP a what\na{model=\"x\\\"y\",kind=\"one\"} 2\na{model=\"z\"} 3.5\nb 7\nbroken\n"
  );
  EXPECT_EQ(text.sum("a"), 5.5);
  EXPECT_EQ(text.sum("a", {{"kind", "one"}}), 2.0);
  EXPECT_EQ(text.sum("a", {{"kind", "two"}}), std::nullopt);
  EXPECT_EQ(text.sum("b"), 7.0);
  EXPECT_EQ(text.label("a", "model"), "x\"y");
}

TEST(TopFrame, ShowsRatesAndDashes) {
  const MetricsText before("mlx_serving_generated_tokens_total{model=\"m\"} 100\n");
  const MetricsText now(
      "mlx_serving_generated_tokens_total{model=\"m\"} 300\n"
      "mlx_serving_sequences{model=\"m\",state=\"running\"} 3\n"
      "mlx_serving_phase_seconds{model=\"m\",phase=\"first_token\",quantile=\"0.5\"} 0.0125\n"
      "mlx_serving_pages{model=\"m\",state=\"held\"} 1\n"
      "mlx_serving_pages{model=\"m\",state=\"free\"} 3\n"
  );
  const std::string frame = top_frame(before, now, 2.0, "http://a");
  EXPECT_NE(frame.find("generated     100.0"), std::string::npos) << frame;
  EXPECT_NE(frame.find("running     3   waiting     -"), std::string::npos) << frame;
  EXPECT_NE(frame.find("first token        12.50           -"), std::string::npos) << frame;
  EXPECT_NE(frame.find(" 25%"), std::string::npos) << frame;
}

TEST(ServeBodies, ShareTheirBeginnings) {
  const BenchServeArguments arguments{.num_requests = 3, .prompt = 10, .shared = 6, .gen = 5};
  const auto bodies = serve_bodies(arguments, "m", 1);
  ASSERT_EQ(bodies.size(), 3U);
  const json::value first = parse_json(bodies[0]);
  const json::value second = parse_json(bodies[1]);
  EXPECT_EQ(first.at("max_tokens"), 5);
  ASSERT_EQ(first.at("prompt").as_array().size(), 10U);
  for (std::size_t i = 0; i < 6; ++i)
    EXPECT_EQ(first.at("prompt").as_array()[i], second.at("prompt").as_array()[i]);
  EXPECT_NE(first.at("prompt"), second.at("prompt"));
  EXPECT_EQ(bodies, serve_bodies(arguments, "m", 1));
}

TEST(ServeReport, CountsGoodputAndFaults) {
  ServeLoadResult result{.rate = 2.0, .seconds = 2.0};
  result.samples = {
      {.is_good = true,
       .ttft_ms = 10.0,
       .itl_ms = 5.0,
       .e2e_ms = 30.0,
       .prompt_tokens = 7,
       .tokens = 5},
      {.is_good = true,
       .ttft_ms = 90.0,
       .itl_ms = 5.0,
       .e2e_ms = 99.0,
       .prompt_tokens = 7,
       .tokens = 5},
      {.fault = "status 503"}
  };
  const json::object report = serve_json(result, {.slo_ttft_ms = 50.0});
  const json::value value = report;
  EXPECT_EQ(value.at_pointer("/good"), 2);
  EXPECT_EQ(value.at_pointer("/faults/status 503"), 1);
  EXPECT_DOUBLE_EQ(value.at_pointer("/generated_tokens_per_second").as_double(), 5.0);
  EXPECT_DOUBLE_EQ(value.at_pointer("/goodput_requests_per_second").as_double(), 0.5);
  EXPECT_DOUBLE_EQ(value.at_pointer("/ttft_ms/p50").as_double(), 10.0);
  EXPECT_NE(serve_table({report}).find("2/s"), std::string::npos);
  EXPECT_TRUE(serve_plot({report}).starts_with("<svg"));
}

TEST(BenchCompare, TellsNoiseFromAChange) {
  const auto result = [](const char* samples) {
    return parse_json(std::string(R"({"cases": {"pp": {"samples": )") + samples + "}, \"x\": 1}}");
  };
  const auto same = changes_between(result("[10, 11, 9, 10, 12]"), result("[11, 10, 9, 12, 10]"));
  ASSERT_EQ(same.size(), 1U);
  EXPECT_EQ(same[0].name, "cases/pp");
  EXPECT_FALSE(same[0].is_certain());
  const auto faster =
      changes_between(result("[10, 11, 9, 10, 12]"), result("[20, 22, 21, 20, 19]"));
  EXPECT_DOUBLE_EQ(faster[0].ratio, 2.0);
  EXPECT_TRUE(faster[0].is_certain());
  EXPECT_GT(faster[0].low, 1.5);
  EXPECT_TRUE(changes_between(result("[]"), result("[1]")).empty());
}

}  // namespace
}  // namespace mlxs
