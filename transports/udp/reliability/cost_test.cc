// What a packet and an idle connection cost.
#include <malloc.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "gtest/gtest.h"
#include "tests/bench/allocation_count.h"
#include "transports/udp/reliability/connection_machine.h"
#include "transports/udp/reliability/frame_receiver.h"

namespace anywire::udp {
namespace {

using std::chrono::microseconds;
using State = ConnectionMachine::State;

// Two machines that exchange packets at once, without memory of the test's own.
class Pair {
 public:
  explicit Pair(const Options& options = Options()) : client_(Connect(options)) {
    OpenPacket open{.client_id = client_->local_id(), .parameters = ParametersOf(options)};
    server_ = ConnectionMachine::Accept(options, pool_, {3, 4}, now_, open, 77);
    // As if the token had been shown.
    const size_t size = server_->PollDatagram(now_, absl::MakeSpan(room_));
    client_->HandleDatagram(now_, absl::MakeConstSpan(room_).first(size));
    Exchange();
  }

  // Until neither has anything to say.
  void Exchange() {
    for (bool moved = true; moved;) {
      now_ += microseconds(5);
      moved = Move(*client_, *server_);
      moved |= Move(*server_, *client_);
    }
  }
  static void Send(ConnectionMachine& machine, uint64_t stream, size_t size) {
    const absl::Span<uint8_t> bytes = machine.NewFrame(stream, size);
    if (bytes.data() != nullptr) std::memset(bytes.data(), 1, size);
  }
  static size_t Receive(ConnectionMachine& machine) {
    size_t bytes = 0;
    while (machine.has_frames()) {
      for (const ReceivedFrame& frame : machine.Receive()) bytes += frame.bytes.size();
    }
    machine.ReleaseFrames();
    return bytes;
  }
  void Call() {
    Send(*client_, 1, 64);
    Exchange();
    EXPECT_EQ(64u, Receive(*server_));
    Send(*server_, 1, 64);
    Exchange();
    EXPECT_EQ(64u, Receive(*client_));
  }
  // So many frames on the way, of as many streams.
  void Load(uint64_t frames, size_t size) {
    for (uint64_t i = 0; i < frames; ++i) Send(*client_, i, size);
    size_t received = 0;
    for (int i = 0; i < 10'000 && received < frames * size; ++i) {
      Exchange();
      received += Receive(*server_);
      now_ += microseconds(50);
      client_->HandleWakeup(now_);
      server_->HandleWakeup(now_);
    }
    EXPECT_EQ(frames * size, received);
    Exchange();
  }

  ConnectionMachine& client() { return *client_; }

 private:
  std::unique_ptr<ConnectionMachine> Connect(const Options& options) {
    return ConnectionMachine::Connect(options, pool_, {1, 2}, now_);
  }
  bool Move(ConnectionMachine& from, ConnectionMachine& to) {
    bool moved = false;
    while (const size_t size = from.PollDatagram(now_, absl::MakeSpan(room_))) {
      moved = true;
      const absl::Span<const uint8_t> packet = absl::MakeConstSpan(room_).first(size);
      if (&to == client_.get()) {
        to.HandleDatagram(now_, packet);
      } else if (IdentifyPacket(packet) == PacketKind::kData) {
        to.HandleData(now_, *ReadData(packet));
      }
    }
    return moved;
  }

  static std::vector<uint8_t> room_;
  static BufferPool pool_;
  Instant now_{std::chrono::hours(1)};
  std::unique_ptr<ConnectionMachine> client_;
  std::unique_ptr<ConnectionMachine> server_;
};
std::vector<uint8_t> Pair::room_(kLargestDatagramSize);
BufferPool Pair::pool_;

TEST(CostTest, CallsAllocateNothing) {
  Pair pair;
  // Until it remembers as many ranges of packet numbers as it ever will.
  for (int i = 0; i < 30'000; ++i) pair.Call();
  const uint64_t before = bench::AllocationCount();
  for (int i = 0; i < 10'000; ++i) pair.Call();
  EXPECT_EQ(before, bench::AllocationCount());
}

TEST(CostTest, ManySmallFramesAllocateLittle) {
  Pair pair;
  for (int i = 0; i < 100; ++i) pair.Load(64, 64);
  const uint64_t before = bench::AllocationCount();
  for (int i = 0; i < 1000; ++i) pair.Load(64, 64);
  // What grows with 64 frames at a time and is given back when none are left.
  EXPECT_LE((bench::AllocationCount() - before) / 1000, 250u);
  std::printf("%llu allocations for 64 frames\n",
              static_cast<unsigned long long>((bench::AllocationCount() - before) / 1000));
}

TEST(CostTest, LargeFramesAllocateLittle) {
  Pair pair;
  for (int i = 0; i < 20; ++i) pair.Load(16, 16'000);
  const uint64_t before = bench::AllocationCount();
  for (int i = 0; i < 200; ++i) pair.Load(16, 16'000);
  std::printf("%llu allocations for 16 large frames\n",
              static_cast<unsigned long long>((bench::AllocationCount() - before) / 200));
}

// Of everything that is not free, bytes.
size_t Heap() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

// What a peer can make us hold with what it was given: frames of the least lucky sizes, in as many
// pieces as they may be.
TEST(CostTest, AWindowBoundsTheMemoryOfItsFrames) {
  for (const size_t size : {1, 2, 65, 129, 257, 513, 1025, 4097, 16'000}) {
    const size_t before = Heap();
    BufferPool pool;
    FrameReceiver receiver(Options(), pool);
    size_t counts = 0;
    for (uint64_t id = 1; id < kFrameSpan && counts + size + kFrameCost <= Options().receive_window;
         ++id, counts += size + kFrameCost) {
      for (size_t i = 0; i < FrameReceiver::MaxPieces(size) && 2 * i < size; ++i) {
        const uint8_t byte = 1;
        ASSERT_EQ(nullptr, receiver.OnFrame({.id = id,
                                             .stream = 1,
                                             .after = id > 1 ? uint64_t{1} : uint64_t{0},
                                             .offset = 2 * i,
                                             .frame_size = size,
                                             .bytes = {&byte, 1}}));
      }
    }
    const double share = static_cast<double>(Heap() - before) / static_cast<double>(counts);
    std::printf("frames of %zu bytes: %.2f times their count\n", size, share);
    EXPECT_LE(share, 3.1) << size;
  }
}

TEST(CostTest, AnIdleConnectionIsSmall) {
  { Pair warm; }
  constexpr size_t kPairs = 200;
  std::vector<std::unique_ptr<Pair>> pairs;
  pairs.reserve(kPairs);
  const size_t before = Heap();
  for (size_t i = 0; i < kPairs; ++i) {
    Pair& pair = *pairs.emplace_back(std::make_unique<Pair>());
    for (int k = 0; k < 10; ++k) pair.Call();
    pair.Load(200, 100);
    pair.Load(20, 16'000);
  }
  const size_t each = (Heap() - before) / (2 * kPairs);
  std::printf("%zu bytes an end\n", each);
  EXPECT_LE(each, 8192u);
}

}  // namespace
}  // namespace anywire::udp
