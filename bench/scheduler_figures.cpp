// The figures of docs/GPU_SCHEDULER_GUIDE.md: the scheduler on the simulated device of its tests,
// in virtual time, so that they are the same everywhere. Prints Markdown; `--check FILE` prints
// nothing and fails unless FILE holds each line of it.
#include <spdlog/fmt/fmt.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <random>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cache/page_layout.h"
#include "engine/scheduler/scheduler.h"
#include "engine/scheduler/scheduler_options.h"
#include "engine/testing/simulator.h"

namespace {

using mlxs::SchedulerOptions;
using mlxs::SequenceId;
using mlxs::SimEnd;
using mlxs::SimRequest;
using mlxs::Simulator;

SchedulerOptions options(int max_sequences, int num_pages) {
  return {
      .max_sequences = max_sequences,
      .step_tokens = 512,
      .cache = {.page_size = 16, .groups = {{.num_pages = num_pages}}},
      .max_waiting = 100'000
  };
}

// A prompt of its own for each time of arrival.
SimRequest request(double arrives_s, int num_prompt, int num_output) {
  std::mt19937 random(static_cast<unsigned>(arrives_s * 1e7));
  SimRequest one{.arrives_s = arrives_s, .num_output = num_output};
  one.prompt_ids.reserve(static_cast<std::size_t>(num_prompt));
  for (int i = 0; i < num_prompt; ++i)
    one.prompt_ids.push_back(static_cast<std::int32_t>(random() % 100'000));
  return one;
}

std::string long_prompt_row(std::string_view setting, const SchedulerOptions& with_options) {
  Simulator simulator(with_options);
  std::vector<SequenceId> streams;
  for (int i = 0; i < 8; ++i) streams.push_back(simulator.send(request(0.001 * i, 20, 2000)));
  const SequenceId intruder = simulator.send(request(2.0, 4096, 1));
  simulator.run();
  const double done_s = simulator.outcome(intruder).token_s.at(0);
  std::vector<double> quiet;
  std::vector<double> beside;
  for (const SequenceId id : streams) {
    const auto& times = simulator.outcome(id).token_s;
    for (std::size_t i = 1; i < times.size(); ++i) {
      const double gap_ms = 1e3 * (times[i] - times[i - 1]);
      if (times[i] > 1.0 && times[i] <= 2.0) quiet.push_back(gap_ms);
      if (times[i] > 2.0 && times[i] <= done_s) beside.push_back(gap_ms);
    }
  }
  return fmt::format(
      "| {} | {:.1f} ms | {:.1f} ms | {:.2f} s |",
      setting,
      mlxs::percentile(quiet, 0.95),
      mlxs::percentile(beside, 0.95),
      done_s - 2.0
  );
}

void long_prompt(std::vector<std::string>& lines) {
  lines.emplace_back("| setting | p95 without | p95 beside the prompt | its first token after |");
  lines.emplace_back("|---|---|---|---|");
  SchedulerOptions with = options(16, 4096);
  lines.push_back(long_prompt_row("default (`max_slowdown` 1.8)", with));
  with.max_slowdown = 1.2;
  lines.push_back(long_prompt_row("`max_slowdown` 1.2", with));
  with.max_slowdown = 3.0;
  lines.push_back(long_prompt_row("`max_slowdown` 3", with));
  with.target_itl_ms = 20.0;
  lines.push_back(long_prompt_row("`target_itl_ms` 20", with));
}

std::string classes_row(std::string_view setting, int priority, int num_low) {
  Simulator simulator(options(16, 2048));
  std::mt19937 random(9);
  std::vector<SequenceId> high;
  for (double arrives_s = 1.0; arrives_s < 31.0;) {
    const double uniform = (static_cast<double>(random()) + 0.5) / 4294967296.0;
    arrives_s -= std::log(uniform) / 6.0;
    SimRequest one = request(arrives_s, 200 + static_cast<int>(random() % 400), 30);
    one.priority = priority;
    one.key = "interactive";
    high.push_back(simulator.send(one));
  }
  for (int i = 0; i < num_low; ++i) {
    SimRequest one = request(0.00037 + 0.05 * i, 400, 100);
    one.key = "batch";
    (void)simulator.send(one);
  }
  simulator.run();
  std::vector<double> ttft_ms;
  ttft_ms.reserve(high.size());
  for (const SequenceId id : high) ttft_ms.push_back(1e3 * simulator.outcome(id).ttft_s());
  return fmt::format(
      "| {} | {:.0f} ms | {:.0f} ms |",
      setting,
      mlxs::percentile(ttft_ms, 0.5),
      mlxs::percentile(ttft_ms, 0.95)
  );
}

void classes(std::vector<std::string>& lines) {
  lines.emplace_back("| load | median first token | p95 |");
  lines.emplace_back("|---|---|---|");
  lines.push_back(classes_row("interactive requests alone", 10, 0));
  lines.push_back(classes_row("with the batch load, `priority` 10", 10, 700));
  lines.push_back(classes_row("with the batch load, `priority` 0 (fair shares only)", 0, 700));
}

std::string shares_row(std::string_view setting, double weight) {
  SchedulerOptions with = options(16, 2048);
  with.key_weights["modest"] = weight;
  Simulator simulator(with);
  for (int i = 0; i < 1000; ++i) {
    SimRequest one = request(0.02 * i, 200, 100);
    one.key = "greedy";
    (void)simulator.send(one);
    if (i % 10 != 0) continue;
    one = request(0.0000213 + 0.02 * i, 200, 1000);
    one.key = "modest";
    (void)simulator.send(one);
  }
  simulator.run(20.0);
  const auto shares = simulator.scheduler().key_shares();
  return fmt::format(
      "| {} | {:.1f} s | {:.1f} s | {:.2f} |",
      setting,
      shares.at(0).token_time_ms / 1e3,
      shares.at(1).token_time_ms / 1e3,
      shares.at(1).token_time_ms / shares.at(0).token_time_ms
  );
}

void key_shares(std::vector<std::string>& lines) {
  lines.emplace_back("| weights | greedy | modest | modest / greedy |");
  lines.emplace_back("|---|---|---|---|");
  lines.push_back(shares_row("1 and 1", 1.0));
  lines.push_back(shares_row("1 and 0.5", 0.5));
}

std::string pages_row(std::string_view setting, SchedulerOptions with, double share) {
  std::mt19937 random(5);
  std::vector<SimRequest> requests;
  int num_pages = 0;
  for (int i = 0; i < 64; ++i) {
    const int num_prompt = 10 + static_cast<int>(random() % 150);
    const int num_output = 50 + static_cast<int>(random() % 150);
    requests.push_back(request(0.0001 * i, num_prompt, num_output));
    num_pages += mlxs::pages_for(num_prompt + num_output, 16);
  }
  with.cache.groups = {{.num_pages = static_cast<int>(num_pages * share)}};
  Simulator simulator(with);
  for (const SimRequest& one : requests) (void)simulator.send(one);
  simulator.run();
  int num_finished = 0;
  for (const auto& [id, outcome] : simulator.outcomes())
    num_finished += outcome.end == SimEnd::finished ? 1 : 0;
  const mlxs::SchedulerStats stats = simulator.scheduler().stats();
  return fmt::format(
      "| {} | {} of {} | {} | {} | {} | {:.2f} s |",
      setting,
      num_finished,
      requests.size(),
      stats.num_recomputes,
      stats.num_swaps,
      stats.num_prefill_rows,
      simulator.now_s()
  );
}

void pages(std::vector<std::string>& lines) {
  lines.emplace_back(
      "| pages | finished | recomputed | swapped | prompt rows run | all done after |"
  );
  lines.emplace_back("|---|---|---|---|---|---|");
  SchedulerOptions with = options(64, 0);
  lines.push_back(pages_row("all that is asked", with, 1.0));
  lines.push_back(pages_row("10 %, `preemption` recompute", with, 0.1));
  with.preemption = mlxs::PreemptionKind::swap;
  with.host_pages = 200;
  lines.push_back(pages_row("10 %, `preemption` swap, 200 `host_pages`", with, 0.1));
}

std::string prefix_row(std::string_view setting, const SchedulerOptions& with) {
  Simulator simulator(with);
  const SimRequest shared = request(0.0, 1024, 1);
  for (int i = 0; i < 32; ++i) {
    SimRequest one = request(0.001 * (i + 1), 32, 8);
    one.prompt_ids.insert(
        one.prompt_ids.begin(), shared.prompt_ids.begin(), shared.prompt_ids.end()
    );
    one.arrives_s = 0.0;
    (void)simulator.send(one);
  }
  simulator.run();
  int num_cached = 0;
  for (const auto& [id, outcome] : simulator.outcomes()) num_cached += outcome.num_cached_tokens;
  return fmt::format(
      "| {} | {} | {} | {:.2f} s |",
      setting,
      num_cached,
      simulator.num_prefill_rows(),
      simulator.now_s()
  );
}

void prefixes(std::vector<std::string>& lines) {
  lines.emplace_back("| setting | cached tokens | prompt rows run | all done after |");
  lines.emplace_back("|---|---|---|---|");
  SchedulerOptions with = options(32, 4096);
  lines.push_back(prefix_row("default", with));
  with.prefix_caching = false;
  lines.push_back(prefix_row("`prefix_caching` off", with));
}

void deadlines(std::vector<std::string>& lines) {
  Simulator simulator(options(4, 2048));
  for (int i = 0; i < 400; ++i) {
    SimRequest one = request(0.02 * i, 300, 50);
    one.ttft_deadline_s = 1.0;
    (void)simulator.send(one);
  }
  simulator.run();
  int num_finished = 0;
  int num_in_time = 0;
  int num_refused = 0;
  int num_expired = 0;
  for (const auto& [id, outcome] : simulator.outcomes()) {
    num_refused += outcome.end == SimEnd::refused ? 1 : 0;
    num_expired += outcome.end == SimEnd::expired ? 1 : 0;
    if (outcome.end != SimEnd::finished) continue;
    ++num_finished;
    num_in_time += outcome.ttft_s() <= 1.0 ? 1 : 0;
  }
  lines.emplace_back("| sent | refused at once | expired in the queue | served | of those in time |"
  );
  lines.emplace_back("|---|---|---|---|---|");
  lines.push_back(fmt::format(
      "| {} | {} | {} | {} | {} |", 400, num_refused, num_expired, num_finished, num_in_time
  ));
}

std::vector<std::string> all_lines() {
  std::vector<std::string> lines;
  const auto add = [&lines](const char* title, void (*figures)(std::vector<std::string>&)) {
    lines.emplace_back(title);
    lines.emplace_back();
    figures(lines);
    lines.emplace_back();
  };
  add("### A long prompt beside eight streams", long_prompt);
  add("### Interactive requests under a batch load", classes);
  add("### One key that sends ten times more", key_shares);
  add("### Pages for a tenth of the load", pages);
  add("### Thirty-two requests with a common beginning", prefixes);
  add("### Deadlines under overload", deadlines);
  return lines;
}

int check(const char* path, const std::vector<std::string>& lines) {
  std::ifstream file(path);
  std::set<std::string> there;
  for (std::string line; std::getline(file, line);) there.insert(line);
  int num_missing = 0;
  for (const std::string& line : lines) {
    if (there.contains(line)) continue;
    ++num_missing;
    fmt::print(stderr, "{} lacks: {}\n", path, line);
  }
  return num_missing == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> lines = all_lines();
  if (argc == 3 && std::string_view(argv[1]) == "--check") return check(argv[2], lines);
  for (const std::string& line : lines) std::puts(line.c_str());
  return 0;
}
