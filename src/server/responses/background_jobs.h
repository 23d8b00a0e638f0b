// Work that goes on without a connection, and can be cancelled by its name.
#pragma once

#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>

#include "base/thread_annotations.h"
#include "server/http/service.h"
#include "server/http/task.h"

namespace mlxs {

// Thread safety: all members from any thread. Invariant: after cancel_all() nothing starts.
class BackgroundJobs {
 public:
  // REQUIRES: both outlive every job.
  BackgroundJobs(boost::asio::io_context& io, HttpService& service) : io_(io), service_(service) {}

  // Runs `work` on an executor of its own; what it throws is logged. It counts as an active
  // request.
  void start(const std::string& id, std::function<Task<void>()> work);

  // Ends the job at its next wait; nothing where there is none of that name.
  void cancel(const std::string& id);
  void cancel_all();

 private:
  // Shared by the table and by what is posted to its executor.
  struct Job {
    explicit Job(Executor job_executor) : executor(std::move(job_executor)) {}
    Executor executor;
    boost::asio::cancellation_signal signal;  // on the executor only
  };

  static void emit(const std::shared_ptr<Job>& job);
  void end(const std::string& id);

  boost::asio::io_context& io_;
  HttpService& service_;
  Mutex mutex_;
  std::unordered_map<std::string, std::shared_ptr<Job>> jobs_ MLXS_GUARDED_BY(mutex_);
  bool is_closed_ MLXS_GUARDED_BY(mutex_) = false;
};

}  // namespace mlxs
