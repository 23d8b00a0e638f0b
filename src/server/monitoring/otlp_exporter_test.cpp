// Against a collector that is there, one that refuses and one that is not there.
#include "server/monitoring/otlp_exporter.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "mlx_serving/error.h"
#include "server/http/http_client.h"
#include "server/testing/test_server.h"
#include "telemetry/span.h"

namespace mlxs {
namespace {

std::vector<Span> spans_of(std::size_t count) { return std::vector<Span>(count, {.name = "x"}); }

TEST(HttpUrl, IsTakenApart) {
  const HttpUrl url = parse_http_url("http://collector:4318/v1/traces?a=b");
  EXPECT_EQ(url.host, "collector");
  EXPECT_EQ(url.port, "4318");
  EXPECT_EQ(url.path, "/v1/traces?a=b");
  EXPECT_EQ(parse_http_url("http://[::1]:99").host, "::1");
  EXPECT_EQ(parse_http_url("http://[::1]").port, "80");
  EXPECT_EQ(parse_http_url("http://a").path, "/");
  for (const char* text :
       {"", "a:80", "https://a", "http://", "http://:80", "http://a:b", "http://a:"})
    EXPECT_THROW((void)parse_http_url(text), Error) << text;
}

TEST(OtlpExporter, DropsWhatNobodyTakes) {
  TestServer server;  // it has no such route and answers 404
  const std::string port = std::to_string(server.port());
  OtlpExporter refused(
      {.endpoint = "http://127.0.0.1:" + port, .interval = std::chrono::milliseconds(5)}
  );
  refused.take(spans_of(3));
  for (int i = 0; i < 2000 && refused.num_dropped() < 3; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(refused.num_dropped(), 3U);
  EXPECT_EQ(refused.num_sent(), 0U);
}

TEST(OtlpExporter, KeepsNoMoreThanItMay) {
  OtlpExporter exporter(
      {.endpoint = "http://127.0.0.1:1", .interval = std::chrono::hours(1), .max_spans = 10}
  );
  exporter.take(spans_of(8));
  exporter.take(spans_of(3));
  EXPECT_EQ(exporter.num_dropped(), 3U);
}

TEST(OtlpExporter, AsksForAnHttpUrl) {
  EXPECT_THROW(OtlpExporter({.endpoint = "collector:4318"}), Error);
}

}  // namespace
}  // namespace mlxs
