// What joins the client's machine and the server's: frames that one end writes come to the other,
// those of a stream in order, or the path is lost. Links are one kind, the udp machines another.
#ifndef ANYWIRE_TESTS_SIM_PATH_H_
#define ANYWIRE_TESTS_SIM_PATH_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "anywire/frame.h"
#include "tests/sim/agenda.h"

namespace anywire::sim {

enum class End { kClient, kServer };

class Path {
 public:
  virtual ~Path() = default;

  // What the world is told; set before anything happens. Frames live until on_frames returns.
  std::function<void(End to, absl::Span<const ReceivedFrame>)> on_frames;
  std::function<void(End)> on_writable;
  // Once for each end, after its last frames.
  std::function<void(End, const absl::Status& why)> on_lost;

  // Where an end writes its frames.
  virtual FrameSink& sink(End from) = 0;
  virtual size_t max_frame_size(End from) const = 0;
  // This end gives the path up; the other learns of it in time.
  virtual void Abort(End end, const absl::Status& why) = 0;

  // What the path does by itself, beside what it puts on the agenda: when it is next due, and to do
  // all that is due by now. Called after every entry of the agenda.
  virtual Instant NextEvent() const { return Instant::max(); }
  virtual void Advance() {}
  // When something is due, of the path or on the agenda; Instant::max(): never.
  Instant Next(const Agenda& agenda) const { return std::min(agenda.next(), NextEvent()); }
  // Does it.
  void DoNext(Agenda& agenda) {
    if (agenda.next() <= NextEvent()) {
      agenda.Step();
    } else {
      agenda.AdvanceTo(NextEvent());
    }
    Advance();
  }
  // Whether no frame is on its way; a path with events of its own says so, and the agenda of any
  // other comes to an end.
  virtual bool is_empty() const { return false; }
  // The client says goodbye, when it is empty, and within `bound` both ends have heard it. What was
  // wrong with that.
  virtual std::vector<std::string> Close(Duration /*bound*/) { return {}; }

  virtual uint64_t frames() const = 0;  // that were written
};

}  // namespace anywire::sim

#endif  // ANYWIRE_TESTS_SIM_PATH_H_
