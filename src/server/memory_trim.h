// Gives memory back to the operating system after a rush of connections; allocators keep it
// otherwise.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstddef>

#include "server/http/service.h"
#include "server/http/task.h"

namespace mlxs {

// Thread safety: start() once, before the io_context runs; stop() from any thread.
class MemoryTrim {
 public:
  // REQUIRES: both outlive it.
  MemoryTrim(boost::asio::io_context& io, const HttpService& service);

  void start();
  void stop();

 private:
  Task<void> watch();

  const HttpService& service_;
  boost::asio::steady_timer timer_;
};

// Whether it is time: the rush is over once less than half of its connections are left. It is told
// a few times, for what the last of them free later.
//
// Thread safety: none.
class RushWatch {
 public:
  // RETURNS: whether a rush has ended not long ago. `num_connections` are open now.
  [[nodiscard]] bool has_ended(std::size_t num_connections);

 private:
  static constexpr std::size_t kRush = 64;  // fewer leave nothing worth the work
  std::size_t peak_ = 0;
};

}  // namespace mlxs
