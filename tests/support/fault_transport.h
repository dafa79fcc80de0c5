// Faults at the seam: transports that behave as badly as transport.h allows, or worse on command.
//
//   FaultControl faults(plan);
//   TransportRegistry registry = WithFaults(std::move(ordinary), faults);
//
// Every transport of the registry is wrapped and keeps its scheme, so a suite runs over it
// unchanged. The plan holds from the start (small frames, delays, little room, streams that
// overtake each other); FaultControl's functions do the rest at the moment that a test chooses.
#ifndef ANYWIRE_TESTS_SUPPORT_FAULT_TRANSPORT_H_
#define ANYWIRE_TESTS_SUPPORT_FAULT_TRANSPORT_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/time/time.h"
#include "anywire/registry.h"

namespace anywire::test {

// What connections do all the time. The default is to do nothing.
struct FaultPlan {
  uint64_t seed = 1;
  // Largest frame, when it is less than the transport's own; 0: the transport's own.
  size_t max_frame_size = 0;
  // What has been published waits up to so long before it travels.
  absl::Duration max_delay = absl::ZeroDuration();
  // Frames of different streams overtake each other.
  bool reorder_streams = false;
  // How often in a thousand NewFrame finds no room though there is some (never when nothing waits).
  int refusals_per_mille = 0;
  // Bytes that may wait in a connection.
  size_t room = 256 << 10;
};

// Outlives the registry that it is given to. Any thread.
class FaultControl {
 public:
  explicit FaultControl(FaultPlan plan);
  ~FaultControl();
  FaultControl(const FaultControl&) = delete;
  FaultControl& operator=(const FaultControl&) = delete;

  // Cuts every connection that is open now, both directions, as if the path were gone.
  void CutAll();
  // Lets `frames` more frames travel, on all connections together; the connection that sends the
  // last of them is cut behind it.
  void CutAfterFrames(uint64_t frames);
  // While on, nothing travels and nothing fails: a path that swallows everything. What waits goes
  // on afterwards.
  void Stall(bool on);
  // Ends a stall for so many frames, on all connections together.
  void StallAfterFrames(uint64_t frames);
  // While on, attempts to connect neither succeed nor fail. An attempt that was held never ends.
  void HoldConnects(bool on);

  // Ends the thread that brings delayed upward calls; what still waits in connections stays there.
  // For the end of a test, before the runtime goes.
  void Stop();

  // Frames that have travelled so far.
  uint64_t frames() const;
  // Connections made so far, each end counted.
  uint64_t connections() const;

  class Core;
  const std::shared_ptr<Core>& core() const { return core_; }

 private:
  const std::shared_ptr<Core> core_;
};

// The same transports with faults. Takes over `inner`.
TransportRegistry WithFaults(TransportRegistry inner, const FaultControl& control);

}  // namespace anywire::test

#endif  // ANYWIRE_TESTS_SUPPORT_FAULT_TRANSPORT_H_
