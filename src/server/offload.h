// Runs what would keep a thread of the server busy (tokenizing, files) on threads of its own.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/execution/outstanding_work.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/prefer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstddef>
#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

#include "server/http/task.h"

namespace mlxs {

// Thread safety: run() from any thread.
class Offload {
 public:
  explicit Offload(int num_threads) : pool_(static_cast<std::size_t>(num_threads)) {}
  ~Offload() { pool_.join(); }
  Offload(const Offload&) = delete;
  Offload& operator=(const Offload&) = delete;

  // Runs `work` on a thread of the pool while the coroutine sleeps; it cannot be cancelled.
  // RETURNS: what `work` returned. ERRORS: what it threw.
  template <typename Work>
  Task<std::invoke_result_t<Work&>> run(Work work);

 private:
  boost::asio::thread_pool pool_;
};

// What became of some work.
template <typename Result>
struct OffloadOutcome {
  std::optional<Result> result;
  std::exception_ptr fault;

  template <typename Work>
  void fill(Work& work) noexcept {
    try {
      result.emplace(work());
    } catch (...) {
      fault = std::current_exception();
    }
  }
};

template <typename Work>
Task<std::invoke_result_t<Work&>> Offload::run(Work work) {
  namespace asio = boost::asio;
  OffloadOutcome<std::invoke_result_t<Work&>> outcome;
  const Executor executor = co_await asio::this_coro::executor;
  // Tracked, so that the executor's context does not end before the answer arrives there.
  const Executor tracked = asio::prefer(executor, asio::execution::outstanding_work.tracked);
  auto begin = [&](auto handler) {
    asio::post(pool_, [&, tracked, handler = std::move(handler)]() mutable {
      outcome.fill(work);
      asio::post(tracked, std::move(handler));
    });
  };
  co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(begin, asio::use_awaitable);
  if (outcome.fault) std::rethrow_exception(outcome.fault);
  // NOLINTNEXTLINE(bugprone-unchecked-optional-access): work that did not throw left a result
  co_return std::move(*outcome.result);
}

}  // namespace mlxs
