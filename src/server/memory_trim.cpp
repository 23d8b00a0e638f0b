// Only glibc keeps what was freed for ever where small pieces lie in between; others need no help.
#include "server/memory_trim.h"

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <utility>

#include "server/http/service.h"
#include "server/http/task.h"

namespace mlxs {
namespace {

namespace asio = boost::asio;

constexpr std::chrono::seconds kInterval{5};

void give_back_memory() {
#if defined(__GLIBC__)
  static_cast<void>(::malloc_trim(0));
#endif
}

}  // namespace

bool RushWatch::has_ended(std::size_t num_connections) {
  peak_ = std::max(peak_, num_connections);
  if (peak_ < kRush || num_connections > peak_ / 2) return false;
  peak_ = std::max(num_connections, peak_ / 4);
  return true;
}

MemoryTrim::MemoryTrim(asio::io_context& io, const HttpService& service)
    : service_(service), timer_(asio::make_strand(io)) {}

void MemoryTrim::start() { asio::co_spawn(timer_.get_executor(), watch(), asio::detached); }

void MemoryTrim::stop() {
  asio::post(timer_.get_executor(), [this] { timer_.cancel(); });
}

Task<void> MemoryTrim::watch() {
  RushWatch rush;
  while (true) {
    timer_.expires_after(kInterval);
    const auto [ec] = co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));
    if (ec) co_return;
    if (rush.has_ended(service_.connections.size())) give_back_memory();
  }
}

}  // namespace mlxs
