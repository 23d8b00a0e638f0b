// The models that may be loaded while the server runs: which are, who uses them, and which has to
// leave for another. The model that the server was started with is none of them and always there.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/thread_annotations.h"
#include "mlx_serving/engine.h"
#include "server/api_context.h"
#include "server/http/task.h"
#include "server/models/model_source.h"
#include "server/offload.h"

namespace mlxs {

// A loaded model, as the handlers see one.
struct LoadedModel {
  std::unique_ptr<Engine> engine;
  ApiContext context;  // the server's, but with this model
};

// Keeps a model loaded; shared, because a model is used by many requests at a time.
using ModelLease = std::shared_ptr<const LoadedModel>;

struct ModelLimits {
  int max_loaded = 1;             // at a time
  std::int64_t memory_bytes = 0;  // of those together; 0: no limit
};

struct ModelListing {
  std::string name;
  bool is_loaded = false;
};

// Thread safety: all members may be called from any thread. Invariant: a model that a lease is out
// for stays loaded.
class ModelHost {
 public:
  ModelHost(std::vector<ModelSource> sources, ModelLimits limits);

  // REQUIRES: called once, before the others; `context` outlives the host.
  void start(const ApiContext& context);

  [[nodiscard]] bool is_empty() const { return sources_.empty(); }

  // Loads the model where it is not, which the one that was used the longest time ago, and is not
  // in use, may have to leave for. RETURNS: null for a name that is none of these models.
  // ERRORS: as Engine::open; overloaded where all that could leave are in use.
  Task<ModelLease> acquire(std::string_view name);

  // RETURNS: false for a name that is none of these models.
  // ERRORS: overloaded where it is in use.
  Task<bool> unload(std::string_view name);

  // RETURNS: every name, aliases included.
  [[nodiscard]] std::vector<ModelListing> list() const;

  // Ends the requests of all models. RETURNS: how many were cut off.
  int drain(std::chrono::milliseconds timeout);

 private:
  struct Place {
    ModelLease model;  // null: not loaded
    std::uint64_t last_used = 0;
  };

  [[nodiscard]] std::optional<std::size_t> find(std::string_view name) const;
  [[nodiscard]] ModelLease take(std::size_t index);
  [[nodiscard]] ModelLease load(std::size_t index);
  void make_room(std::size_t index);
  [[nodiscard]] bool has_room(std::size_t index) const MLXS_REQUIRES(mutex_);
  [[nodiscard]] ModelLease evict_oldest() MLXS_REQUIRES(mutex_);

  const std::vector<ModelSource> sources_;
  const ModelLimits limits_;
  const ApiContext* context_ = nullptr;
  mutable Mutex mutex_;
  std::vector<Place> places_ MLXS_GUARDED_BY(mutex_);  // one a source
  std::uint64_t num_uses_ MLXS_GUARDED_BY(mutex_) = 0;
  Offload loader_{1};  // one load or unload at a time; joined before the rest goes away
};

}  // namespace mlxs
