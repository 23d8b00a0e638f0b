// A cancellation is emitted on the job's own executor, where its coroutine waits.
#include "server/responses/background_jobs.h"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "base/thread_annotations.h"
#include "server/http/service.h"
#include "server/http/task.h"

namespace mlxs {

namespace asio = boost::asio;

void BackgroundJobs::start(const std::string& id, std::function<Task<void>()> work) {
  auto job = std::make_shared<Job>(asio::make_strand(io_));
  {
    MutexLock lock(mutex_);
    if (is_closed_) return;
    jobs_.emplace(id, job);
  }
  ++service_.num_active;
  const auto done = [this, id](const std::exception_ptr& fault) {
    --service_.num_active;
    end(id);
    if (!fault) return;
    try {
      std::rethrow_exception(fault);
    } catch (const std::exception& error) {
      service_.logger->warn("background work ended id={} error=\"{}\"", id, log_safe(error.what()));
    }
  };
  asio::co_spawn(
      job->executor, std::move(work), asio::bind_cancellation_slot(job->signal.slot(), done)
  );
}

void BackgroundJobs::emit(const std::shared_ptr<Job>& job) {
  asio::post(job->executor, [job] { job->signal.emit(asio::cancellation_type::terminal); });
}

void BackgroundJobs::end(const std::string& id) {
  MutexLock lock(mutex_);
  jobs_.erase(id);
}

void BackgroundJobs::cancel(const std::string& id) {
  MutexLock lock(mutex_);
  const auto found = jobs_.find(id);
  if (found != jobs_.end()) emit(found->second);
}

void BackgroundJobs::cancel_all() {
  MutexLock lock(mutex_);
  is_closed_ = true;
  for (const auto& entry : jobs_) emit(entry.second);
}

}  // namespace mlxs
