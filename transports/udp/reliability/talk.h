// What two ends say to each other in tests: frames whose sizes and bytes follow from their place,
// so that the other end knows what to expect without being told.
#ifndef ANYWIRE_TRANSPORTS_UDP_RELIABILITY_TALK_H_
#define ANYWIRE_TRANSPORTS_UDP_RELIABILITY_TALK_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <string>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "tests/support/body.h"
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
      const std::string body = anywire::test::MakeBody(KeyOf(stream, index), bytes.size());
      std::memcpy(bytes.data(), body.data(), body.size());
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
  anywire::test::BodyKey KeyOf(uint64_t stream, uint64_t index) const {
    return {.call = options_.salt + (stream << 32),
            .direction = {},
            .index = static_cast<uint32_t>(index)};
  }
  // Any number that follows from a place.
  uint64_t NumberOf(uint64_t stream, uint64_t index) const {
    uint64_t number;
    const std::string body = anywire::test::MakeBody(KeyOf(stream, index), sizeof(number));
    std::memcpy(&number, body.data(), sizeof(number));
    return number;
  }
  uint64_t StreamOf(uint64_t number) const { return 1 + NumberOf(0, number) % options_.streams; }
  size_t SizeOf(uint64_t stream, uint64_t index) const {
    const uint64_t number = NumberOf(stream, index);
    return 1 + (number >> 8) % (number % 3 == 0 ? options_.largest : 100);
  }

  void Check(const ReceivedFrame& frame) {
    const uint64_t index = next_received_[frame.stream]++;
    ASSERT_EQ(SizeOf(frame.stream, index), frame.bytes.size());
    const absl::string_view body(reinterpret_cast<const char*>(frame.bytes.data()),
                                 frame.bytes.size());
    ASSERT_EQ(absl::OkStatus(), anywire::test::CheckBody(KeyOf(frame.stream, index), body))
        << "stream " << frame.stream;
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
