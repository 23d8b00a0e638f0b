// Engines are made and destroyed on the loader's thread, which never holds the mutex meanwhile.
#include "server/models/model_host.h"

#include <spdlog/fmt/fmt.h>
#include <spdlog/logger.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/thread_annotations.h"
#include "mlx_serving/engine.h"
#include "mlx_serving/error.h"
#include "server/api_context.h"
#include "server/http/service.h"
#include "server/http/task.h"
#include "server/models/model_source.h"
#include "server/openai/api_model.h"

namespace mlxs {

ModelHost::ModelHost(std::vector<ModelSource> sources, ModelLimits limits)
    : sources_(std::move(sources)), limits_(limits), places_(sources_.size()) {}

void ModelHost::start(const ApiContext& context) { context_ = &context; }

std::optional<std::size_t> ModelHost::find(std::string_view name) const {
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    const std::vector<std::string>& aliases = sources_[i].aliases;
    if (sources_[i].name == name || std::ranges::find(aliases, name) != aliases.end()) return i;
  }
  return std::nullopt;
}

ModelLease ModelHost::take(std::size_t index) {
  MutexLock lock(mutex_);
  places_[index].last_used = ++num_uses_;
  return places_[index].model;
}

bool ModelHost::has_room(std::size_t index) const {
  int num_loaded = 1;
  std::int64_t memory_bytes = sources_[index].memory_bytes;
  for (std::size_t i = 0; i < places_.size(); ++i) {
    if (!places_[i].model) continue;
    ++num_loaded;
    memory_bytes += sources_[i].memory_bytes;
  }
  return num_loaded <= limits_.max_loaded &&
         (limits_.memory_bytes == 0 || memory_bytes <= limits_.memory_bytes);
}

// RETURNS: the model that has left; null where none can.
ModelLease ModelHost::evict_oldest() {
  Place* oldest = nullptr;
  for (Place& place : places_) {
    const bool is_idle = place.model && place.model.use_count() == 1;
    if (is_idle && (oldest == nullptr || place.last_used < oldest->last_used)) oldest = &place;
  }
  return oldest == nullptr ? nullptr : std::exchange(oldest->model, nullptr);
}

void ModelHost::make_room(std::size_t index) {
  while (true) {
    ModelLease evicted;  // destroyed after the lock is given up
    MutexLock lock(mutex_);
    if (has_room(index)) return;
    evicted = evict_oldest();
    if (!evicted) {
      throw Error(
          ErrorCode::overloaded,
          fmt::format(
              "the model {} has no room beside those that are in use; try again later",
              sources_[index].name
          )
      );
    }
  }
}

ModelLease ModelHost::load(std::size_t index) {
  if (ModelLease loaded = take(index)) return loaded;
  make_room(index);
  const ModelSource& source = sources_[index];
  std::unique_ptr<Engine> engine = source.open();
  ModelInfo info = engine->model();
  info.name = source.name;
  Engine& served = *engine;
  const auto model = std::make_shared<LoadedModel>(LoadedModel{
      std::move(engine),
      ApiContext{
          served,
          context_->service,
          make_api_model(info, source.aliases),
          context_->offload,
          context_->responses,
          context_->jobs,
          context_->energy,
          context_->requests,
          context_->models,
          context_->pooling,
          context_->rerank
      }
  });
  model->context.owner = model;
  context_->service.logger->info("model loaded name=\"{}\"", log_safe(source.name));
  MutexLock lock(mutex_);
  places_[index].model = model;
  return model;
}

Task<ModelLease> ModelHost::acquire(std::string_view name) {
  const std::optional<std::size_t> index = find(name);
  if (!index) co_return nullptr;
  if (ModelLease loaded = take(*index)) co_return loaded;
  co_return co_await loader_.run([this, index] { return load(*index); });
}

Task<bool> ModelHost::unload(std::string_view name) {
  const std::optional<std::size_t> index = find(name);
  if (!index) co_return false;
  co_return co_await loader_.run([this, index] {
    ModelLease leaving;  // destroyed after the lock is given up
    MutexLock lock(mutex_);
    if (places_[*index].model && places_[*index].model.use_count() > 1)
      throw Error(ErrorCode::overloaded, "the model is in use; try again when it is not");
    leaving = std::exchange(places_[*index].model, nullptr);
    return true;
  });
}

std::vector<ModelListing> ModelHost::list() const {
  std::vector<ModelListing> listing;
  MutexLock lock(mutex_);
  for (std::size_t i = 0; i < sources_.size(); ++i) {
    const bool is_loaded = places_[i].model != nullptr;
    listing.push_back({.name = sources_[i].name, .is_loaded = is_loaded});
    for (const std::string& alias : sources_[i].aliases)
      listing.push_back({.name = alias, .is_loaded = is_loaded});
  }
  return listing;
}

int ModelHost::drain(std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  std::vector<ModelLease> models;
  {
    MutexLock lock(mutex_);
    for (const Place& place : places_) {
      if (place.model) models.push_back(place.model);
    }
  }
  int num_cut = 0;
  for (const ModelLease& model : models) {
    const auto left = deadline - std::chrono::steady_clock::now();
    num_cut += model->engine->drain(std::max(
        std::chrono::milliseconds(0), std::chrono::duration_cast<std::chrono::milliseconds>(left)
    ));
  }
  return num_cut;
}

}  // namespace mlxs
