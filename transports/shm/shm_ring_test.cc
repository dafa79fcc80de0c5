// Frames through a ring, without a connection: bytes, limits, memory, and a producer that dies at
// each store.
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "tests/support/seed.h"
#include "tests/support/watchdog.h"
#include "transports/shm/ring_fixture.h"
#include "transports/stream/preface.h"

namespace anywire {
namespace {

// The fenced example of PROTOCOL.md with this number: hexadecimal, "*" for any byte; what stands
// behind three spaces is a comment.
Bytes Documented(size_t number, size_t line_number) {
  std::ifstream file("transports/shm/PROTOCOL.md");
  std::stringstream text;
  text << file.rdbuf();
  const std::vector<std::string> parts = absl::StrSplit(text.str(), "<!-- a test compares");
  const std::vector<std::string> fenced = absl::StrSplit(parts.at(number), "```");
  const std::vector<std::string> lines = absl::StrSplit(fenced.at(1), '\n', absl::SkipEmpty());
  const absl::string_view line = lines.at(line_number);
  Bytes bytes;
  for (const absl::string_view token :
       absl::StrSplit(line.substr(0, line.find("   ")), ' ', absl::SkipEmpty())) {
    if (token != "*") {
      bytes.push_back(static_cast<uint8_t>(std::stoul(std::string(token), nullptr, 16)));
    }
  }
  return bytes;
}

TEST(ShmProtocolTest, DocumentedFrameIsWhatTheCodeWrites) {
  Ring ring;
  ASSERT_TRUE(ring.Send(300, "hi"));
  Bytes expected = Documented(2, 0);
  const Bytes body = Documented(2, 1);
  expected.insert(expected.end(), body.begin(), body.end());
  EXPECT_EQ(expected, Bytes(ring.bytes(), ring.bytes() + expected.size()));
}

TEST(ShmProtocolTest, DocumentedPrefaceIsOurs) {
  EXPECT_EQ(Documented(1, 0), Bytes(kShmPreface, kShmPreface + kPrefaceSize));
}

TEST(ShmProtocolTest, WordsAreWhereTheyAreSaidToBe) {
  Ring ring;
  const auto* const base =
      reinterpret_cast<const uint8_t*>(&ring.made.region->words(ShmRegion::kToListener));
  const ShmRegion::Words& words = ring.made.region->words(ShmRegion::kToConnector);
  EXPECT_EQ(base + 512, words.tail.address());
  EXPECT_EQ(base + 512 + 8, words.room_wanted.address());
  EXPECT_EQ(base + 512 + 12, words.rung.address());
  EXPECT_EQ(base + 512 + 128, words.head.address());
  EXPECT_EQ(base + 512 + 256, words.sleep.address());
}

// Any sizes, in any order, in rings in which each is cut by the end sooner or later.
TEST(ShmRingTest, EverythingArrives) {
  for (const bool in_place : {false, true}) {
    for (const size_t ring_size : {size_t{4096}, kRing, size_t{1} << 20}) {
      Ring ring(ring_size, in_place);
      const size_t max = ShmMaxFrameSize(ring_size);
      std::mt19937_64 random(test::TestSeed(3));
      Frames sent, received;
      for (int i = 0; i < 5000; ++i) {
        const size_t size = 1 + random() % (random() % 8 == 0 ? max : max / 50);
        const std::string body(size, static_cast<char>(random()));
        while (!ring.Send(random.max() - i, body)) {
          const Frames some = ring.Receive();
          ASSERT_FALSE(some.empty());
          received.insert(received.end(), some.begin(), some.end());
        }
        sent.push_back({random.max() - i, body});
        if (random() % 4 == 0) {
          const Frames some = ring.Receive();
          received.insert(received.end(), some.begin(), some.end());
        }
      }
      for (Frames some; !(some = ring.Receive()).empty();) {
        received.insert(received.end(), some.begin(), some.end());
      }
      EXPECT_EQ(sent, received);
      EXPECT_EQ(nullptr, ring.input.error());
    }
  }
}

// On a connection with little to do, most of the ring is never touched.
TEST(ShmRingTest, LittleTrafficUsesLittleMemory) {
  Ring ring(1 << 20);
  for (int i = 0; i < 20'000; ++i) {
    ASSERT_TRUE(ring.Send(1, std::string(100 + i % 50, 'x')));
    ASSERT_EQ(1u, ring.Receive().size());
  }
  struct stat file;
  ASSERT_EQ(0, fstat(ring.made.fd.get(), &file));
  EXPECT_LE(file.st_blocks * 512, 20 << 10);  // the words, and 8 KiB and a little of the ring
}

TEST(ShmRingTest, FullRingRefusesAndTakesAgain) {
  Ring ring;
  size_t sent = 0;
  const std::string body(1000, 'x');
  while (ring.Send(1, body)) ++sent;
  EXPECT_EQ(kRing / ShmFrameSize(body.size()), sent);
  EXPECT_EQ(nullptr, ring.output.NewFrameOrRing(1, body.size()).data());
  size_t received = 0;
  bool rung = false;
  while (received < sent) {
    received += ring.input.Take().size();
    rung |= ring.input.Release();
  }
  EXPECT_EQ(sent, received);
  EXPECT_TRUE(rung);
  EXPECT_TRUE(ring.Send(1, std::string(ShmMaxFrameSize(kRing), 'y')));
}

TEST(ShmRegionTest, MemoryCannotBeMadeExecutable) {
  constexpr unsigned kNoExecSeal = 8;
  if (!UniqueFd(memfd_create("probe", MFD_CLOEXEC | kNoExecSeal)).valid()) {
    GTEST_SKIP() << "this kernel is older than 6.3";
  }
  const ShmRegion::New made = ShmRegion::Create(kRing).value();
  struct stat file;
  ASSERT_EQ(0, fstat(made.fd.get(), &file));
  EXPECT_EQ(0u, file.st_mode & 0111);
  EXPECT_NE(0, fchmod(made.fd.get(), 0777));
}

// ---- rewinds

TEST(ShmRewindTest, OneWithoutAFrameBehindItIsAnError) {
  for (const uint64_t before : {uint64_t{24}, uint64_t{kRing - 16}}) {  // much of a way, and little
    for (const bool twice : {false, true}) {
      ByHand ring;
      uint64_t at = 0;
      while (at < before) {
        const uint64_t size = std::min<uint64_t>(before - at, 16384);
        ring.Header(at, static_cast<uint32_t>(size - 16), ShmFrameHeader::kFrame);
        at += size;
      }
      ring.Tail(at);
      while (!ring.Receive().empty()) {
      }
      ASSERT_EQ(nullptr, ring.input.error());
      // A way to the beginning, which alone or before another is none to a frame.
      ring.Header(at, 0, ShmFrameHeader::kRewind);
      ring.Header(0, 0, ShmFrameHeader::kRewind);
      ring.Tail(twice ? kRing + before : kRing);
      EXPECT_TRUE(ring.Receive().empty());
      EXPECT_STREQ("a rewind without a frame behind it", ring.input.error());
    }
  }
}

// The producer never publishes one alone, however small the ring and whatever the sizes.
TEST(ShmRewindTest, OursAlwaysHasAFrameBehindIt) {
  std::mt19937_64 random(test::TestSeed(5));
  for (size_t ring_size = 4096; ring_size <= kRing; ring_size *= 2) {
    Ring ring(ring_size);
    const size_t max = ShmMaxFrameSize(ring_size);
    int sent = 0, received = 0;
    for (int i = 0; i < 20'000; ++i) {
      const size_t size = 1 + random() % (random() % 2 == 0 ? max : 100);
      if (ring.Send(1, std::string(size, 'x'))) ++sent;
      ASSERT_EQ(0u, ring.made.region->words(ShmRegion::kToConnector).tail.LoadAcquire() % 8);
      if (random() % 4 != 0) received += static_cast<int>(ring.Receive().size());
      ASSERT_EQ(nullptr, ring.input.error()) << ring_size;
    }
    for (size_t some; (some = ring.Receive().size()) > 0;) received += static_cast<int>(some);
    EXPECT_EQ(sent, received);
  }
}

// ---- what is copied

// The views of what has come, which the peer changes only where frames are parsed in place.
TEST(ShmInputTest, WhatIsCopiedIsOnlyReadOnce) {
  for (const bool in_place : {false, true}) {
    // The whole that is copied in one go, with its header, is at most 1,024 bytes.
    for (const size_t size : {1, 1000, 1008, 1009, 1024, 1025, 4096, 4097, 16384}) {
      Ring ring(kRing, in_place);
      const std::string before(size, 'a');
      ASSERT_TRUE(ring.Send(1, before));
      const absl::Span<const ReceivedFrame> frames = ring.input.Take();
      ASSERT_EQ(1u, frames.size());
      std::memset(ring.made.region->ring(ShmRegion::kToConnector), 'b', kRing);
      const std::string now(frames[0].bytes.begin(), frames[0].bytes.end());
      const bool viewed = in_place && size > kCopiedFrameSize;
      EXPECT_EQ(viewed ? std::string(size, 'b') : before, now) << size << " in place: " << in_place;
      EXPECT_EQ(1u, frames[0].stream);
      ring.input.Release();
    }
  }
}

// ---- death at every store

// A producer's and consumer's life, in a process that shares nothing with us but the region.
void Live(const ShmRegion& region) {
  ShmOutput output(region, ShmRegion::kToConnector);
  ShmInput input(region, ShmRegion::kToListener, false);
  for (uint64_t i = 1; i <= 3; ++i) {
    for (uint64_t j = 0; j < i; ++j) {
      const absl::Span<uint8_t> frame = output.NewFrame(i, 8 * i);
      std::memset(frame.data(), static_cast<int>(i), frame.size());
    }
    output.Publish();
    output.Transmit();
    input.Take();
    input.Release();
    if (input.consumer().Announce(Sleep::kLoop)) input.consumer().Retract();
  }
  while (output.NewFrame(4, 1024).data() != nullptr) {
  }
  output.NewFrameOrRing(4, 1024);
  output.Publish();
  output.Transmit();
}

class DeathTest : public ::testing::Test {
 protected:
  // A child that has stopped before its life.
  pid_t Born(const ShmRegion& region) {
    const pid_t child = fork();
    if (child == 0) {
      ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
      raise(SIGSTOP);
      Live(region);
      _exit(0);
    }
    int status;
    EXPECT_EQ(child, waitpid(child, &status, 0));
    EXPECT_TRUE(WIFSTOPPED(status));
    return child;
  }
  // Lets it take one instruction; false: it has come to its end.
  static bool Step(pid_t child) {
    int status;
    EXPECT_EQ(0, ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr));
    EXPECT_EQ(child, waitpid(child, &status, 0));
    return WIFSTOPPED(status);
  }
  // The words of both rings, and that part of the child's in which frames differ.
  static std::string Shared(const ShmRegion& region) {
    return std::string(reinterpret_cast<const char*>(&region.words(ShmRegion::kToListener)), 1024) +
           std::string(reinterpret_cast<const char*>(region.ring(ShmRegion::kToConnector)), 512);
  }
  // Lets the child live until it has changed what is shared for the `stores`th time, or to its end.
  // Returns how often it has.
  static int LiveUntil(pid_t child, const ShmRegion& region, int stores) {
    std::string before = Shared(region);
    for (int count = 0; count < stores;) {
      if (!Step(child)) return count;
      std::string now = Shared(region);
      if (now == before) continue;
      before = std::move(now);
      if (++count == stores) {
        EXPECT_EQ(0, kill(child, SIGKILL));
        int status;
        EXPECT_EQ(child, waitpid(child, &status, 0));
      }
    }
    return stores;
  }
};

TEST_F(DeathTest, AtEveryStoreLeavesWhatCanBeRead) {
  if (test::BuildSlowness() > 1) GTEST_SKIP() << "a sanitizer's instructions are too many";
  constexpr size_t kSmall = 4096;
  size_t most = 0;
  int deaths = 0;
  for (bool alive = false; !alive; ++deaths) {
    const ShmRegion::New made = ShmRegion::Create(kSmall).value();
    ShmOutput output(*made.region, ShmRegion::kToListener);
    ShmInput input(*made.region, ShmRegion::kToConnector, false);
    const absl::Span<uint8_t> first = output.NewFrame(1, 800);
    std::memset(first.data(), 7, first.size());
    output.Publish();
    output.Transmit();
    const pid_t child = Born(*made.region);
    alive = LiveUntil(child, *made.region, deaths + 1) <= deaths;

    // Whole frames, in order, and all of what was published at once.
    size_t frames = 0;
    for (absl::Span<const ReceivedFrame> taken; !(taken = input.Take()).empty(); input.Release()) {
      for (const ReceivedFrame& frame : taken) {
        ++frames;
        const uint64_t expected = frames == 1 ? 1 : frames <= 3 ? 2 : frames <= 6 ? 3 : 4;
        ASSERT_EQ(expected, frame.stream) << "death " << deaths;
        ASSERT_EQ(expected < 4 ? 8 * expected : 1024, frame.bytes.size());
        if (expected < 4) {
          ASSERT_EQ(Bytes(8 * expected, static_cast<uint8_t>(expected)),
                    Bytes(frame.bytes.begin(), frame.bytes.end()));
        }
      }
    }
    ASSERT_EQ(nullptr, input.error()) << "death " << deaths;
    ASSERT_TRUE(frames == 0 || frames == 1 || frames == 3 || frames >= 6) << frames;
    most = std::max(most, frames);
    // What we send goes as far as the ring, and nowhere else.
    while (output.NewFrame(9, 500).data() != nullptr) {
    }
    ASSERT_FALSE(output.broken());
    output.Publish();
    output.Transmit();
  }
  EXPECT_GT(most, 6u);
  EXPECT_GT(deaths, 25);
  std::printf("%d deaths\n", deaths);
}

}  // namespace
}  // namespace anywire
