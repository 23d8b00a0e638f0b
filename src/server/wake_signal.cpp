// The link's mutex is held while posting, so that the signal, and with it the executor, cannot go
// away meanwhile.
#include "server/wake_signal.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <chrono>
#include <functional>
#include <memory>

#include "base/thread_annotations.h"
#include "server/http/task.h"

namespace mlxs {

namespace asio = boost::asio;

WakeSignal::WakeSignal(const Executor& executor)
    : timer_(executor), link_(std::make_shared<Link>()) {
  timer_.expires_at(std::chrono::steady_clock::time_point::max());
  MutexLock lock(link_->mutex);
  link_->signal = this;
}

WakeSignal::~WakeSignal() {
  MutexLock lock(link_->mutex);
  link_->signal = nullptr;
}

std::function<void()> WakeSignal::waker() const {
  return [link = link_] { wake(link); };
}

void WakeSignal::wake(const std::shared_ptr<Link>& link) {
  MutexLock lock(link->mutex);
  if (link->signal == nullptr || link->is_posted) return;
  link->is_posted = true;
  asio::post(link->signal->timer_.get_executor(), [link] { arrive(*link); });
}

void WakeSignal::arrive(Link& link) {
  MutexLock lock(link.mutex);
  link.is_posted = false;
  if (link.signal == nullptr) return;
  link.signal->is_woken_ = true;
  link.signal->timer_.cancel();
}

Task<void> WakeSignal::wait() {
  while (!is_woken_) {
    co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));
    const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none)
      throw boost::system::system_error(asio::error::operation_aborted);
  }
  is_woken_ = false;
}

}  // namespace mlxs
