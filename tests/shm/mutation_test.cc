// Calls go on while somebody writes at random into the memory of their connection, at full speed:
// nothing crashes, nothing hangs, and other connections are as ever.
//
// ANYWIRE_SHM_MUTATIONS says how many writes there are in all; see README.md.
#include <atomic>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "gtest/gtest.h"
#include "tests/shm/echo.h"
#include "tests/shm/man_in_the_middle.h"
#include "tests/support/census.h"
#include "tests/support/seed.h"
#include "tests/support/temp_dir.h"
#include "tests/support/watchdog.h"

namespace anywire::test {
namespace {

constexpr size_t kRing = 64 << 10;
constexpr uint64_t kOrdinary = 2'000'000;

uint64_t Mutations() {
  uint64_t count = kOrdinary;
  if (const char* const text = std::getenv("ANYWIRE_SHM_MUTATIONS")) {
    EXPECT_TRUE(absl::SimpleAtoi(text, &count)) << text;
  }
  return count;
}

// Where a burst of writes goes.
enum class Target { kWords, kHeaders, kBytes, kEverything };

class Mutator {
 public:
  explicit Mutator(uint64_t seed) : random_(seed) {}

  void Burst(const ShmRegion& region, uint64_t count) {
    const auto target = static_cast<Target>(random_() % 4);
    for (uint64_t i = 0; i < count; ++i) Mutate(region, target);
  }

 private:
  using Atomic64 = std::atomic<uint64_t>;

  void Mutate(const ShmRegion& region, Target target) {
    const uint64_t random = random_();
    const auto direction = static_cast<ShmRegion::Direction>(random & 1);
    switch (target) {
      case Target::kEverything:
        return Mutate(region, static_cast<Target>(random / 2 % 3));
      case Target::kWords: {
        // The four words of a direction, and what is between them.
        constexpr size_t kOffsets[] = {0, 8, 128, 256};
        const size_t offset = random % 8 < 6 ? kOffsets[random / 8 % 4] : random / 8 % 64 * 8;
        Change(reinterpret_cast<uint8_t*>(&region.words(direction)) + offset, random);
        return;
      }
      case Target::kHeaders:
        // Near the beginning, where frames are while little waits.
        Change(region.ring(direction) + random / 2 % 1024 * 8, random);
        return;
      case Target::kBytes:
        region.ring(direction)[random / 2 % kRing] = static_cast<uint8_t>(random >> 40);
        return;
    }
  }
  // Bits, small steps, sizes that matter, anything.
  void Change(uint8_t* at, uint64_t random) {
    auto& word = *reinterpret_cast<Atomic64*>(at);
    const uint64_t value = word.load(std::memory_order_relaxed);
    uint64_t next = random_();
    switch (random >> 60) {
      case 0 ... 3:
        next = value ^ uint64_t { 1 } << (random >> 32) % 64;
        break;
      case 4 ... 7:
        next = value + 8 * ((random >> 32) % 65) - 256;
        break;
      case 8 ... 11: {
        constexpr uint64_t kSizes[] = {0, 1, 16, 24, kRing / 4, kRing / 4 + 1, kRing, UINT32_MAX};
        next = kSizes[(random >> 32) % 8];
        break;
      }
    }
    word.store(next, std::memory_order_relaxed);
  }

  std::mt19937_64 random_;
};

std::string Payload(uint64_t number, size_t size) {
  std::string payload(size, static_cast<char>('a' + number % 26));
  for (size_t i = 0; i < size; i += 97) payload[i] = static_cast<char>(number + i);
  return payload;
}

void Attack(InPlace in_place, uint64_t seed) {
  const Watchdog watchdog("mutations", absl::Seconds(120 + 60 * (Mutations() / 10'000'000)));
  const Census census;
  {
    const TempDir dir;
    ShmOptions options;
    options.ring_size = kRing;
    options.in_place = in_place;
    const EchoServer server(dir.path() + "/server", options);
    ManInTheMiddle middle(dir.path() + "/middle", dir.path() + "/server", kRing);
    const std::unique_ptr<Runtime> runtime = ShmRuntime(options);
    std::atomic<bool> stop{false};
    std::atomic<uint64_t> attacked_ok{0}, attacked_failed{0}, honest{0};

    // On connections that are written into.
    std::vector<std::thread> threads;
    for (int i = 0; i < 2; ++i) {
      threads.emplace_back([&dir, &runtime, &stop, &attacked_ok, &attacked_failed, seed, i] {
        std::mt19937_64 random(seed + 100 + i);
        while (!stop) {
          const echo::Echo::Stub stub(Channel(*runtime, "shm://" + dir.path() + "/middle"));
          for (bool ok = true; ok && !stop;) {
            echo::Message request;
            const size_t size = random() % 4 == 0 ? random() % 200'000 : random() % 500;
            request.set_payload(Payload(random(), size));
            ok = stub.Echo(request, {.timeout = absl::Seconds(2)}).ok();
            ++(ok ? attacked_ok : attacked_failed);
          }
        }
      });
    }
    // On one that is not, to the same server.
    threads.emplace_back([&dir, &runtime, &stop, &honest] {
      const echo::Echo::Stub stub(Channel(*runtime, "shm://" + dir.path() + "/server"));
      while (!stop) {
        echo::Message request;
        request.set_payload(Payload(honest, honest * 37 % 3000));
        const absl::StatusOr<echo::Message> reply =
            stub.Echo(request, {.timeout = absl::Seconds(60)});
        ASSERT_TRUE(reply.ok()) << reply.status();
        ASSERT_EQ(request.payload(), reply->payload());
        ++honest;
      }
    });

    Mutator mutator(seed);
    std::mt19937_64 random(seed);
    // It goes on until something of it was noticed, and the honest one has come to its turn: the
    // watchdog would say that neither happens.
    for (uint64_t left = Mutations(); left > 0 || attacked_failed == 0 || honest == 0;) {
      const std::shared_ptr<ShmRegion> region = middle.region();
      if (region == nullptr) continue;
      const uint64_t burst = random() % 20'000;
      mutator.Burst(*region, burst);
      left -= std::min(left, burst);
    }
    stop = true;
    for (std::thread& thread : threads) thread.join();
    std::printf("%d connections, %d calls that ended well and %d that did not; %d others\n",
                middle.connections(), static_cast<int>(attacked_ok),
                static_cast<int>(attacked_failed), static_cast<int>(honest));
  }
  EXPECT_TRUE(census.BackToBaseline().ok()) << census.BackToBaseline();
}

TEST(MutationTest, CopiedBeforeItIsParsed) { Attack(InPlace::kNever, TestSeed(1)); }
TEST(MutationTest, ParsedInPlace) { Attack(InPlace::kAlways, TestSeed(2)); }

}  // namespace
}  // namespace anywire::test
