// http_load --port P --process ID [--streams N] [--requests R] [--tokens T] [--idle I]
//           [--stalled S] [--slow L] [--settle SECONDS] [--seconds LIMIT]: streams chat completions
// over N connections on one thread, R requests in all (0: one a connection), beside I idle
// connections, S that never read and L that read a byte a second, and prints one JSON object: what
// became of each request, rates, and what the server's process used.
#include <spdlog/fmt/fmt.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <map>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/json.h"
#include "http/load_client.h"
#include "http/process_usage.h"

namespace mlxs::bench {
namespace {

struct Plan {
  std::uint16_t port = 0;
  int process_id = 0;
  int num_streams = 1000;
  int num_requests = 0;
  int num_tokens = 100;
  int num_idle = 0;
  int num_stalled = 0;
  int num_slow = 0;
  int settle_s = 0;
  int limit_s = 120;
};

Plan parse(std::span<char*> words) {
  std::map<std::string_view, int> values = {
      {"--port", 0},
      {"--process", 0},
      {"--streams", 1000},
      {"--requests", 0},
      {"--tokens", 100},
      {"--idle", 0},
      {"--stalled", 0},
      {"--slow", 0},
      {"--settle", 0},
      {"--seconds", 120}
  };
  for (std::size_t i = 0; i + 1 < words.size(); i += 2) {
    const auto found = values.find(words[i]);
    if (found == values.end()) throw std::invalid_argument(std::string("unknown flag ") + words[i]);
    found->second = std::atoi(words[i + 1]);
  }
  return {
      .port = static_cast<std::uint16_t>(values["--port"]),
      .process_id = values["--process"],
      .num_streams = values["--streams"],
      .num_requests = std::max(values["--requests"], values["--streams"]),
      .num_tokens = values["--tokens"],
      .num_idle = values["--idle"],
      .num_stalled = values["--stalled"],
      .num_slow = values["--slow"],
      .settle_s = values["--settle"],
      .limit_s = values["--seconds"]
  };
}

std::string request_text(int num_tokens) {
  const std::string body = fmt::format(
      "{{\"model\":\"null\",\"messages\":[{{\"role\":\"user\",\"content\":\"Say something to "
      "me\"}}],\"max_tokens\":{},\"stream\":true,\"stream_options\":{{\"include_usage\":true}}}}",
      num_tokens
  );
  return fmt::format(
      "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
      "application/json\r\nContent-Length: {}\r\n\r\n{}",
      body.size(),
      body
  );
}

double own_cpu_us() {
  rusage usage{};
  (void)::getrusage(RUSAGE_SELF, &usage);
  const auto us = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_usec);
  };
  return us(usage.ru_utime) + us(usage.ru_stime);
}

double at_share(std::vector<double> values, double share) {
  if (values.empty()) return 0.0;
  std::ranges::sort(values);
  return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1))];
}

class Load {
 public:
  explicit Load(const Plan& plan)
      : plan_(plan),
        request_(request_text(plan.num_tokens)),
        long_request_(request_text(60'000)),
        epoll_(::epoll_create1(EPOLL_CLOEXEC)) {}
  ~Load() { ::close(epoll_); }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  [[nodiscard]] json::object run();

 private:
  void connect(ClientKind kind, int count);
  void start();
  void turn();
  void on_ready(LoadClient& client);
  void read_slow_ones();
  void watch(LoadClient& client, int events);
  [[nodiscard]] json::object report(double seconds, double client_us, const ProcessUsage& end);

  const Plan& plan_;
  const std::string request_;
  const std::string long_request_;
  int epoll_;
  std::vector<std::unique_ptr<LoadClient>> clients_;
  LoadCounts counts_;
  int num_sent_ = 0;
  int num_open_ = 0;
  ProcessUsage base_;
  ProcessUsage begin_;
  Clock::time_point next_slow_read_ = Clock::now();
};

void Load::watch(LoadClient& client, int events) {
  epoll_event event{};
  event.events = static_cast<std::uint32_t>(events);
  event.data.ptr = &client;
  (void)::epoll_ctl(epoll_, EPOLL_CTL_ADD, client.descriptor(), &event);
}

void Load::connect(ClientKind kind, int count) {
  for (int i = 0; i < count; ++i) {
    clients_.push_back(std::make_unique<LoadClient>(plan_.port, kind));
    // Those that do not read hear of the end only.
    const bool reads = kind == ClientKind::reader || kind == ClientKind::idle;
    watch(*clients_.back(), reads ? EPOLLIN | EPOLLRDHUP : EPOLLRDHUP);
  }
}

void Load::start() {
  for (const auto& client : clients_) {
    if (client->kind() == ClientKind::idle) continue;
    const bool is_reader = client->kind() == ClientKind::reader;
    if (is_reader && num_sent_ >= plan_.num_requests) continue;
    client->send(is_reader ? request_ : long_request_);
    num_sent_ += is_reader ? 1 : 0;
    num_open_ += is_reader ? 1 : 0;
  }
}

void Load::on_ready(LoadClient& client) {
  if (!client.is_open() || !client.read(counts_) || client.kind() != ClientKind::reader) return;
  --num_open_;
  if (!client.is_open() || num_sent_ >= plan_.num_requests) return;
  client.send(request_);
  ++num_sent_;
  ++num_open_;
}

void Load::read_slow_ones() {
  if (Clock::now() < next_slow_read_) return;
  next_slow_read_ = Clock::now() + std::chrono::seconds(1);
  for (const auto& client : clients_) {
    if (client->kind() == ClientKind::slow && client->is_open()) client->read_byte(counts_);
  }
}

void Load::turn() {
  std::array<epoll_event, 512> events;
  const int num_events = ::epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), 100);
  for (int i = 0; i < num_events; ++i)
    on_ready(*static_cast<LoadClient*>(events[static_cast<std::size_t>(i)].data.ptr));
  read_slow_ones();
}

json::object Load::run() {
  base_ = usage_of(plan_.process_id);
  connect(ClientKind::idle, plan_.num_idle);
  connect(ClientKind::reader, plan_.num_streams);
  connect(ClientKind::stalled, plan_.num_stalled);
  connect(ClientKind::slow, plan_.num_slow);
  std::this_thread::sleep_for(std::chrono::milliseconds(300));  // until all are accepted
  begin_ = usage_of(plan_.process_id);
  const double own_begin_us = own_cpu_us();
  const Clock::time_point begin = Clock::now();
  start();
  while (num_open_ > 0 && Clock::now() < begin + std::chrono::seconds(plan_.limit_s)) turn();
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  const double client_us = own_cpu_us() - own_begin_us;
  const ProcessUsage end = usage_of(plan_.process_id);
  const auto hangs = [](const auto& client) {
    return client->is_open() &&
           (client->kind() == ClientKind::stalled || client->kind() == ClientKind::slow);
  };
  while (std::ranges::any_of(clients_, hangs) &&
         Clock::now() < begin + std::chrono::seconds(plan_.limit_s))
    turn();
  return report(seconds, client_us, end);
}

json::object Load::report(double seconds, double client_us, const ProcessUsage& end) {
  json::object json;
  json["requests"] = num_sent_;
  json["complete"] = counts_.of(Outcome::complete);
  json["status_429"] = counts_.of(Outcome::limited);
  json["status_503"] = counts_.of(Outcome::unavailable);
  json["other_status"] = counts_.of(Outcome::other_status);
  json["cut"] = counts_.of(Outcome::cut);
  json["without_done"] = counts_.of(Outcome::without_done);
  json["empty_200"] = counts_.of(Outcome::empty);
  json["unanswered"] = num_open_;
  json["without_retry_after"] = counts_.num_without_retry_after;
  json["idle_lost"] = counts_.num_idle_lost;
  json["tokens"] = counts_.num_tokens;
  json["events"] = counts_.num_events;
  json["seconds"] = seconds;
  const auto num_tokens = static_cast<double>(std::max<std::int64_t>(1, counts_.num_tokens));
  json["tokens_per_second"] = static_cast<double>(counts_.num_tokens) / seconds;
  json["bytes_per_token"] = static_cast<double>(counts_.num_bytes) / num_tokens;
  json["server_cpu_us_per_token"] = (end.cpu_us - begin_.cpu_us) / num_tokens;
  json["client_cpu_us_per_token"] = client_us / num_tokens;
  json["first_event_ms"] = {
      {"median", at_share(counts_.first_event_ms, 0.5)},
      {"p99", at_share(counts_.first_event_ms, 0.99)}
  };
  json["request_ms"] = {
      {"median", at_share(counts_.total_ms, 0.5)}, {"p99", at_share(counts_.total_ms, 0.99)}
  };
  if (!counts_.cut_after_s.empty())
    json["cut_after_s"] = {
        {"count", counts_.cut_after_s.size()},
        {"min", at_share(counts_.cut_after_s, 0.0)},
        {"max", at_share(counts_.cut_after_s, 1.0)}
    };
  for (const auto& client : clients_) client->close();
  std::this_thread::sleep_for(std::chrono::seconds(plan_.settle_s));
  const ProcessUsage after = usage_of(plan_.process_id);
  json["descriptors"] = {
      {"base", base_.num_descriptors},
      {"loaded", end.num_descriptors},
      {"after", after.num_descriptors}
  };
  json["resident_kib"] = {
      {"base", base_.resident_bytes / 1024},
      {"loaded", end.resident_bytes / 1024},
      {"after", after.resident_bytes / 1024}
  };
  return json;
}

}  // namespace
}  // namespace mlxs::bench

int main(int argc, char** argv) {
  try {
    const std::span<char*> words(argv, static_cast<std::size_t>(argc));
    const mlxs::bench::Plan plan = mlxs::bench::parse(words.subspan(1));
    mlxs::bench::Load load(plan);
    fmt::print("{}\n", mlxs::json::serialize(load.run()));
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "http_load: {}\n", error.what());
    return 1;
  }
}
