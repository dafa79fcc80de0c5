// What two ends say to each other in tests: frames whose sizes and bytes follow from their place,
// so that the other end knows what to expect without being told.
#ifndef ANYWIRE_TRANSPORTS_UDP_RELIABILITY_TALK_H_
#define ANYWIRE_TRANSPORTS_UDP_RELIABILITY_TALK_H_

#include <cstddef>
#include <cstdint>
#include <map>

#include "gtest/gtest.h"
#include "transports/udp/reliability/connection_machine.h"

namespace anywire::udp::test {

// One direction of one connection.
class Talk {
 public:
  struct Options {
    uint64_t salt = 0;
    uint64_t streams = 4;
    uint64_t frames = 100;
    size_t largest = 4000;
  };
  explicit Talk(const Options& options) : options_(options) {}

  // Gives the sender as many frames as it takes.
  void Send(ConnectionMachine& machine) {
    if (blocked_ && !machine.TakeRoom()) return;
    for (blocked_ = false; sent_ < options_.frames; ++sent_) {
      const uint64_t stream = StreamOf(sent_);
      const uint64_t index = next_sent_[stream];
      const absl::Span<uint8_t> bytes = machine.NewFrame(stream, SizeOf(stream, index));
      if (bytes.data() == nullptr) {
        blocked_ = true;
        return;
      }
      for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = ByteOf(stream, index, i);
      ++next_sent_[stream];
    }
  }

  // Takes what there is, and checks it.
  void Receive(ConnectionMachine& machine) {
    while (machine.has_frames()) {
      for (const ReceivedFrame& frame : machine.Receive()) Check(frame);
    }
    machine.ReleaseFrames();
  }

  bool is_complete() const { return received_ == options_.frames; }
  uint64_t received() const { return received_; }
  uint64_t received_bytes() const { return received_bytes_; }

 private:
  uint64_t Mix(uint64_t a, uint64_t b) const {
    uint64_t z = options_.salt + a * 0x9e3779b97f4a7c15u + b * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 29)) * 0x94d049bb133111ebu;
    return z ^ (z >> 32);
  }
  uint64_t StreamOf(uint64_t number) const { return 1 + Mix(number, 1) % options_.streams; }
  size_t SizeOf(uint64_t stream, uint64_t index) const {
    const uint64_t mixed = Mix(stream, index + 7);
    return 1 + (mixed >> 8) % (mixed % 3 == 0 ? options_.largest : 100);
  }
  uint8_t ByteOf(uint64_t stream, uint64_t index, size_t i) const {
    return static_cast<uint8_t>(Mix(stream, index) >> (8 * (i % 8))) ^ static_cast<uint8_t>(i / 8);
  }

  void Check(const ReceivedFrame& frame) {
    const uint64_t index = next_received_[frame.stream]++;
    ASSERT_EQ(SizeOf(frame.stream, index), frame.bytes.size());
    bool same = true;
    for (size_t i = 0; i < frame.bytes.size(); ++i) {
      same &= frame.bytes[i] == ByteOf(frame.stream, index, i);
    }
    ASSERT_TRUE(same) << "stream " << frame.stream << " frame " << index;
    ++received_;
    received_bytes_ += frame.bytes.size();
  }

  const Options options_;
  std::map<uint64_t, uint64_t> next_sent_, next_received_;
  uint64_t sent_ = 0;
  uint64_t received_ = 0;
  uint64_t received_bytes_ = 0;
  bool blocked_ = false;
};

}  // namespace anywire::udp::test

#endif  // ANYWIRE_TRANSPORTS_UDP_RELIABILITY_TALK_H_
