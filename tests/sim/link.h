// One direction of a simulated connection: frames take a random time each, keep their order within
// a stream and lose it between streams. It refuses frames when many are on their way, and at
// random.
#ifndef ANYWIRE_TESTS_SIM_LINK_H_
#define ANYWIRE_TESTS_SIM_LINK_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "anywire/frame.h"
#include "tests/sim/agenda.h"
#include "tests/sim/random.h"

namespace anywire::sim {

class Link final : public FrameSink {
 public:
  struct Options {
    size_t max_frame_size = 64 << 10;
    size_t capacity = 1 << 20;    // bytes on their way before it refuses; one frame always fits
    uint64_t refuse_percent = 0;  // of frames, though there is room
    Duration shortest{10000};
    Duration longest{2000000};
    bool ordered = false;  // between streams too
  };
  // `deliver` is given frames that live until it returns; `writable` says that there may be room
  // again.
  Link(Agenda& agenda, Random& random, const Options& options,
       std::function<void(absl::Span<const ReceivedFrame>)> deliver,
       std::function<void()> writable);

  absl::Span<uint8_t> NewFrame(uint64_t stream, size_t size) override;
  // Drops what is on its way and takes nothing more.
  void Cut() { cut_ = true; }
  size_t max_frame_size() const { return options_.max_frame_size; }
  uint64_t frames() const { return frames_; }

 private:
  struct Frame {
    uint64_t stream;
    std::string bytes;
  };
  void Schedule(std::shared_ptr<Frame> frame);
  void Deliver();

  Agenda& agenda_;
  Random& random_;
  const Options options_;
  const std::function<void(absl::Span<const ReceivedFrame>)> deliver_;
  const std::function<void()> writable_;
  bool cut_ = false;
  bool refused_ = false;
  size_t on_their_way_ = 0;
  uint64_t frames_ = 0;
  std::unordered_map<uint64_t, Instant> last_;  // of each stream, when its last frame arrives
  std::deque<std::shared_ptr<Frame>> arrived_;  // at this instant, to be delivered together
};

}  // namespace anywire::sim

#endif  // ANYWIRE_TESTS_SIM_LINK_H_
