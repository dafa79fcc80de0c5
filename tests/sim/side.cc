#include "tests/sim/side.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace anywire::sim {

void Side::AfterUse() {
  HandOn();
  if (machine_->wants_pump() && !pump_planned_ && !no_room_ && !lost_) {
    pump_planned_ = true;
    // Owners gather commands; one of three pumps waits a little.
    const Duration pause(random_.OneIn(3) ? random_.Below(5000) : 0);
    agenda_.After(pause, [this] {
      pump_planned_ = false;
      if (lost_) return;
      machine_->Pump(agenda_.now(), events_);
      no_room_ = machine_->wants_pump();
      AfterUse();
    });
  }
  const Instant wake = machine_->NextWakeup();
  if (wake < wake_at_ && !lost_) {
    wake_at_ = wake;
    agenda_.At(wake, [this] { Wake(); });
  }
}

void Side::HandOn() {
  // What is done about an event may add others, which come after.
  if (handing_on_) return;
  handing_on_ = true;
  while (!events_.empty()) {
    protocol::Protocol::Events events = std::exchange(events_, {});
    for (protocol::Event& event : events) on_event_(event);
  }
  handing_on_ = false;
}

void Side::Wake() {
  wake_at_ = Instant::max();
  if (lost_) return;
  const absl::Status status = machine_->OnTime(agenda_.now(), events_);
  AfterUse();
  if (!status.ok()) on_error(status);
}

void Side::OnFrames(absl::Span<const ReceivedFrame> frames) {
  if (lost_) return;
  const absl::Status status = machine_->OnFrames(frames, agenda_.now(), events_);
  // The frames live until this returns, and so must what is done with the messages in them.
  AfterUse();
  if (!status.ok()) {
    checker_.Fail(absl::StrCat(name_, ": ", status.ToString()));
    on_error(status);
  }
}

void Side::OnWritable() {
  no_room_ = false;
  AfterUse();
}

void Side::Lose(const absl::Status& why) {
  if (lost_) return;
  lost_ = true;
  machine_->OnConnectionLost(why, events_);
  AfterUse();
}

}  // namespace anywire::sim
