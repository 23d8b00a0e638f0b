// One thread a request in flight: a thread that only waits for a socket costs the server nothing
// that matters beside a token.
#include "cli/serve_load.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "base/json.h"
#include "cli/bench_serve.h"
#include "mlx_serving/error.h"
#include "server/http/http_client.h"

namespace mlxs {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kOk = 200;
// Ids that every vocabulary has and that are no special tokens.
constexpr std::int64_t kFirstTokenId = 1000;
constexpr std::int64_t kLastTokenId = 8000;
constexpr std::string_view kData = "data: ";

double milliseconds(Clock::duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

std::string body_of(json::value prompt, const std::string& model, std::int64_t num_tokens) {
  return json::serialize(json::object{
      {"model", model},
      {"prompt", std::move(prompt)},
      {"max_tokens", num_tokens},
      {"ignore_eos", true},
      {"temperature", 0},
      {"stream", true},
      {"stream_options", json::object{{"include_usage", true}}}
  });
}

std::vector<std::string> bodies_of_file(
    const BenchServeArguments& arguments, const std::string& model
) {
  std::ifstream file(arguments.dataset);
  if (!file)
    throw Error(ErrorCode::io_error, "the dataset \"" + arguments.dataset + "\" cannot be read");
  std::vector<std::string> bodies;
  std::string line;
  const auto wanted = static_cast<std::size_t>(arguments.num_requests);
  for (int number = 1; bodies.size() < wanted && std::getline(file, line); ++number) {
    if (line.empty()) continue;
    const json::value row = parse_json(line);
    const json::value* prompt = row.is_object() ? row.as_object().if_contains("prompt") : nullptr;
    if (prompt == nullptr)
      throw Error(
          ErrorCode::invalid_config,
          arguments.dataset + ":" + std::to_string(number) + ": an object with `prompt` is needed"
      );
    const json::value* length = row.as_object().if_contains("max_tokens");
    const bool has_length = length != nullptr && length->is_int64();
    bodies.push_back(body_of(*prompt, model, has_length ? length->as_int64() : arguments.gen));
  }
  if (bodies.empty())
    throw Error(ErrorCode::invalid_config, "the dataset " + arguments.dataset + " has no prompts");
  return bodies;
}

// Follows the events of one answer.
class Reader {
 public:
  Reader(ServeSample& sample, Clock::time_point begin) : sample_(sample), begin_(begin) {}

  void take(std::string_view bytes) {
    rest_ += bytes;
    std::size_t at = 0;
    for (std::size_t end = rest_.find('\n'); end != std::string::npos; end = rest_.find('\n', at)) {
      take_line(std::string_view(rest_).substr(at, end - at));
      at = end + 1;
    }
    rest_.erase(0, at);
  }

  void finish() {
    const Clock::time_point end = Clock::now();
    sample_.e2e_ms = milliseconds(end - begin_);
    sample_.is_good = is_done_ && sample_.tokens > 0 && has_token_;
    if (sample_.tokens > 1)
      sample_.itl_ms = milliseconds(last_token_ - first_token_) / (sample_.tokens - 1);
  }

 private:
  void take_line(std::string_view line) {
    if (!line.starts_with(kData)) return;
    line.remove_prefix(kData.size());
    if (line.starts_with("[DONE]")) {
      is_done_ = true;
      return;
    }
    const json::value event = parse_json(line);
    const json::object& object = event.as_object();
    if (const json::value* usage = object.if_contains("usage"); usage && usage->is_object()) {
      sample_.tokens = usage->at("completion_tokens").to_number<int>();
      sample_.prompt_tokens = usage->at("prompt_tokens").to_number<int>();
      return;
    }
    last_token_ = Clock::now();
    if (has_token_) return;
    has_token_ = true;
    first_token_ = last_token_;
    sample_.ttft_ms = milliseconds(first_token_ - begin_);
  }

  ServeSample& sample_;
  Clock::time_point begin_;
  Clock::time_point first_token_ = {};
  Clock::time_point last_token_ = {};
  std::string rest_;
  bool has_token_ = false;
  bool is_done_ = false;
};

ServeSample ask(const HttpCall& form, const std::string& body, Clock::time_point load_begin) {
  ServeSample sample;
  const Clock::time_point begin = Clock::now();
  sample.start_s = std::chrono::duration<double>(begin - load_begin).count();
  Reader reader(sample, begin);
  HttpCall call = form;
  call.body = body;
  call.on_piece = [&reader](std::string_view bytes) { reader.take(bytes); };
  try {
    const HttpAnswer answer = http_call(call);
    reader.finish();
    if (answer.status != kOk) sample.fault = "status " + std::to_string(answer.status);
  } catch (const std::exception& error) {
    sample.fault = error.what();
  }
  if (!sample.fault.empty()) sample.is_good = false;
  return sample;
}

}  // namespace

std::vector<std::string> serve_bodies(
    const BenchServeArguments& arguments, const std::string& model, std::uint64_t seed
) {
  if (!arguments.dataset.empty()) return bodies_of_file(arguments, model);
  std::mt19937_64 common(arguments.seed);
  std::mt19937_64 own(seed + 1);
  std::uniform_int_distribution<std::int64_t> id(kFirstTokenId, kLastTokenId);
  json::array beginning;
  const int num_shared = std::min(arguments.shared, arguments.prompt - 1);
  for (int i = 0; i < num_shared; ++i) beginning.push_back(id(common));
  std::vector<std::string> bodies;
  bodies.reserve(static_cast<std::size_t>(arguments.num_requests));
  for (int request = 0; request < arguments.num_requests; ++request) {
    json::array prompt = beginning;
    while (prompt.size() < static_cast<std::size_t>(arguments.prompt)) prompt.push_back(id(own));
    bodies.push_back(body_of(std::move(prompt), model, arguments.gen));
  }
  return bodies;
}

ServeLoadResult run_serve_load(
    const HttpCall& form, const std::vector<std::string>& bodies, double rate, int concurrency
) {
  ServeLoadResult result{.rate = rate, .samples = std::vector<ServeSample>(bodies.size())};
  const Clock::time_point begin = Clock::now();
  std::vector<std::thread> clients;
  if (rate > 0.0) {
    std::mt19937_64 random(bodies.size());
    std::exponential_distribution<double> gap(rate);
    clients.reserve(bodies.size());
    double at = 0.0;
    for (std::size_t i = 0; i < bodies.size(); ++i) {
      std::this_thread::sleep_until(
          begin + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(at))
      );
      clients.emplace_back([&, i] { result.samples[i] = ask(form, bodies[i], begin); });
      at += gap(random);
    }
  } else {
    std::atomic<std::size_t> next = 0;
    clients.reserve(static_cast<std::size_t>(concurrency));
    for (int client = 0; client < concurrency; ++client)
      clients.emplace_back([&] {
        for (std::size_t i = next++; i < bodies.size(); i = next++)
          result.samples[i] = ask(form, bodies[i], begin);
      });
    for (std::thread& client : clients) client.join();
    clients.clear();
  }
  for (std::thread& client : clients) client.join();
  result.seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  return result;
}

}  // namespace mlxs
