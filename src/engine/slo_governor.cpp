// The share halves and doubles, so that it is where it has to be after a few seconds.
#include "engine/slo_governor.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <utility>

#include "engine/scheduler/scheduler.h"
#include "engine/sequence.h"
#include "mlx_serving/config.h"
#include "mlx_serving/error.h"
#include "telemetry/collector.h"
#include "telemetry/slo_monitor.h"

namespace mlxs {
namespace {

constexpr std::chrono::seconds kInterval(1);
constexpr std::chrono::seconds kWindow(60);
constexpr std::chrono::seconds kRetryAfter(10);
constexpr double kLeastShare = 0.125;

}  // namespace

SloGovernor::SloGovernor(std::shared_ptr<const Collector> collector, SloAction action)
    : collector_(action == SloAction::none ? nullptr : std::move(collector)), action_(action) {}

void SloGovernor::apply(Scheduler& scheduler, TimePoint now) {
  if (!collector_ || now - looked_at_ < kInterval) return;
  looked_at_ = now;
  const auto burns = [this, now](SloKind kind) {
    return collector_->slo().burn_rate(kind, kWindow, now).value_or(0.0) > 1.0;
  };
  if (action_ != SloAction::shed) {
    const double share = burns(SloKind::next_token) ? prefill_share_ / 2 : prefill_share_ * 2;
    prefill_share_ = std::clamp(share, kLeastShare, 1.0);
    scheduler.set_prefill_share(prefill_share_);
  }
  if (action_ != SloAction::slow)
    is_shedding_ = burns(SloKind::first_token) || burns(SloKind::errors);
}

Error SloGovernor::refusal() {
  Error error(
      ErrorCode::overloaded, "the server misses its targets and takes no new requests for now"
  );
  error.retry_after(kRetryAfter);
  return error;
}

}  // namespace mlxs
