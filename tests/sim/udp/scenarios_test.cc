// What happens to a connection with calls on it, beside the matrix: paths that carry less, or no
// more than so much, that break in one direction or for ever, clients that move, servers that start
// anew.
//
//   ANYWIRE_TEST_SEED=<n>  runs that seed, and as many after it as always
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "anywire/delivery.h"
#include "gtest/gtest.h"
#include "tests/sim/udp/session.h"
#include "tests/support/seed.h"

namespace anywire::sim {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using udp::test::PathOptions;
using udp::test::VirtualNetwork;

constexpr uint64_t kSeeds = 100;
constexpr Duration kIdleTimeout = seconds(5);
// A path that has no worse than a loss now and then is done by then, whatever is said over it.
constexpr Duration kBound = std::chrono::minutes(5);

// One seed's network, and its calls.
class ScenarioTest : public ::testing::Test {
 protected:
  // Calls `run` with each seed; what fails says which.
  template <typename Run>
  void ForEachSeed(Run run) {
    const uint64_t first = anywire::test::TestSeed(1);
    for (uint64_t seed = first; seed < first + kSeeds && !HasFailure(); ++seed) {
      SCOPED_TRACE(absl::StrCat("seed ", seed));
      Random random(seed);
      run(random);
    }
  }
  static udp::EndpointOptions Server(const udp::Options& connection) {
    udp::EndpointOptions options;
    options.connection = connection;
    return options;
  }
  static udp::Options LosesHeart() {
    udp::Options options;
    options.idle_timeout = kIdleTimeout;
    options.keepalive_interval = seconds(1);
    return options;
  }
  static void ExpectNoFailures(const Result& result) {
    EXPECT_TRUE(result.failures.empty()) << absl::StrJoin(result.failures, "\n");
  }
};

TEST_F(ScenarioTest, APathThatCarriesLittleAndThenLess) {
  ForEachSeed([](Random& random) {
    PathOptions path{.delay = milliseconds(5), .jitter = milliseconds(1), .loss = 1};
    path.mtu = udp::kBaseDatagramSize + random.Below(8000);
    udp::Options options = RandomMachineOptions(random);
    options.max_datagram_size = random.Choose<size_t>({1452, 8952, udp::kLargestDatagramSize});
    const Scenario scenario = MakePatientScenario(random, milliseconds(10));
    VirtualNetwork network(random.Next(), Server(options), path);
    VirtualNetwork::Client& client = network.AddClient(options);
    const Duration when(random.Below(200'000'000));
    ExpectNoFailures(RunSession(
        random, scenario, network, client, {.bound = kBound}, [&network, when](Agenda& agenda) {
          agenda.After(when, [&network] { network.path().mtu = udp::kBaseDatagramSize; });
        }));
    EXPECT_LE(client.machine->datagram_size(), udp::kLargestDatagramSize);
  });
}

TEST_F(ScenarioTest, ABottleneck) {
  ForEachSeed([](Random& random) {
    const PathOptions path{.delay = milliseconds(20),
                           .jitter = milliseconds(2),
                           .loss = random.OneIn(2) ? 1 : 0,
                           .bandwidth = 500'000,
                           .queue = 20'000};
    const Scenario scenario = MakePatientScenario(random, milliseconds(100));
    VirtualNetwork network(random.Next(), Server(RandomMachineOptions(random)), path);
    VirtualNetwork::Client& client = network.AddClient(RandomMachineOptions(random));
    ExpectNoFailures(RunSession(random, scenario, network, client, {.bound = kBound}));
    for (const bool to_server : {false, true}) {
      const anywire::test::PathCounts& counts = network.counts(to_server);
      // Slow start finds out where the end is by going beyond it, by as much as the path holds.
      EXPECT_LE(counts.overflowed, 120 + counts.sent / 10) << "of " << counts.sent;
    }
  });
}

TEST_F(ScenarioTest, APartitionThatHeals) {
  ForEachSeed([](Random& random) {
    const PathOptions path{.delay = milliseconds(15), .loss = 1};
    const Scenario scenario = MakePatientScenario(random, milliseconds(30));
    VirtualNetwork network(random.Next(), Server(RandomMachineOptions(random)), path);
    VirtualNetwork::Client& client = network.AddClient(RandomMachineOptions(random));
    const bool there = random.OneIn(2);
    const bool back = !there || random.OneIn(3);
    const auto partition = [&network, there, back](bool on) {
      if (there) network.Partition(true, on);
      if (back) network.Partition(false, on);
    };
    ExpectNoFailures(
        RunSession(random, scenario, network, client, {.bound = kBound}, [&](Agenda& agenda) {
          Duration at(0);
          for (int i = 0; i < 3; ++i) {
            at += milliseconds(random.Below(300));
            agenda.After(at, [partition] { partition(true); });
            at += milliseconds(random.Below(random.Choose<uint64_t>({100, 20'000})));
            agenda.After(at, [partition] { partition(false); });
          }
        }));
  });
}

// Both ends find out: who hears nothing after its idle timeout, and the other after one more.
TEST_F(ScenarioTest, APartitionThatDoesNot) {
  ForEachSeed([](Random& random) {
    const PathOptions path{.delay = milliseconds(15)};
    const Scenario scenario = MakePatientScenario(random, milliseconds(30));
    VirtualNetwork network(random.Next(), Server(LosesHeart()), path);
    VirtualNetwork::Client& client = network.AddClient(LosesHeart());
    const bool to_server = random.OneIn(2);
    const bool both = random.OneIn(3);
    const Result result =
        RunSession(random, scenario, network, client,
                   {.bound = seconds(2) + 2 * kIdleTimeout + seconds(5), .may_lose_path = true},
                   [&](Agenda& agenda) {
                     agenda.After(milliseconds(random.Below(300)), [&network, to_server, both] {
                       network.Partition(to_server, true);
                       if (both) network.Partition(!to_server, true);
                     });
                   });
    ExpectNoFailures(result);
    for (const absl::Status& lost : {result.client_lost, result.server_lost}) {
      // Or its calls were over, and CLOSE did not get through.
      EXPECT_TRUE(lost.ok() || lost.code() == absl::StatusCode::kUnavailable ||
                  lost.code() == absl::StatusCode::kDeadlineExceeded)
          << lost;
    }
  });
}

// Calls of a connection that ends by `breaks`; those that are known not to have run are made again
// on another. None runs twice, and each has an end, or was let go of.
class AgainTest : public ScenarioTest {
 protected:
  void Run(Random& random, Duration bound,
           void (*breaks)(VirtualNetwork&, VirtualNetwork::Client&)) {
    const PathOptions path{.delay = milliseconds(5), .loss = 1};
    Scenario scenario = MakePatientScenario(random, milliseconds(10));
    VirtualNetwork network(random.Next(), Server(LosesHeart()), path);
    VirtualNetwork::Client& client = network.AddClient(LosesHeart());
    const Duration when = milliseconds(random.Below(random.Choose<uint64_t>({5, 50, 200})));
    const Result first = RunSession(
        random, scenario, network, client, {.bound = when + bound, .may_lose_path = true},
        [&](Agenda& agenda) { agenda.After(when, [&] { breaks(network, client); }); });
    ExpectNoFailures(first);
    statuses_.push_back(first.client_lost);
    for (Plan& plan : scenario.plans) {
      const CallResult& call = first.calls[plan.number];
      EXPECT_TRUE(call.tried);
      plan.left_out = !call.ended || call.end.code() != absl::StatusCode::kUnavailable ||
                      DeliveryOf(call.end) == Delivery::kUnknown;
    }
    const Result second =
        RunSession(random, scenario, network, network.AddClient(LosesHeart()), {.bound = kBound});
    ExpectNoFailures(second);
    for (const Plan& plan : scenario.plans) {
      EXPECT_LE(first.calls[plan.number].handlers + second.calls[plan.number].handlers, 1)
          << "call " << plan.number << " ran twice";
      again_ += plan.left_out ? 0 : 1;
    }
  }

  std::vector<absl::Status> statuses_;  // of the first connections
  size_t again_ = 0;                    // calls that were made again
};

TEST_F(AgainTest, AClientWhoseAddressChanges) {
  ForEachSeed([this](Random& random) {
    Run(random, seconds(2) + 2 * kIdleTimeout + seconds(5),
        [](VirtualNetwork& network, VirtualNetwork::Client& client) {
          network.MoveClient(client);
        });
  });
  const auto lost = std::count_if(statuses_.begin(), statuses_.end(), [](const auto& status) {
    return status.code() == absl::StatusCode::kUnavailable;
  });
  EXPECT_GT(lost, static_cast<ptrdiff_t>(statuses_.size() / 2));
  EXPECT_GT(again_, 0u);
}

// It says so with a RESET: nobody waits for an idle timeout.
TEST_F(AgainTest, AServerThatStartsAnew) {
  ForEachSeed([this](Random& random) {
    Run(random, seconds(4),
        [](VirtualNetwork& network, VirtualNetwork::Client&) { network.RestartServer(); });
  });
  const auto told =
      std::count(statuses_.begin(), statuses_.end(),
                 absl::UnavailableError("the server does not know the connection any more"));
  EXPECT_GT(told, static_cast<ptrdiff_t>(statuses_.size() / 2));
  EXPECT_GT(again_, 0u);
}

// The client gives the connection up, and its server is told, or finds out.
TEST_F(ScenarioTest, AClientThatGivesUp) {
  ForEachSeed([](Random& random) {
    const PathOptions path{.delay = milliseconds(5), .loss = 5};
    Scenario scenario = MakePatientScenario(random, milliseconds(10));
    scenario.cut_after = milliseconds(random.Below(200));
    VirtualNetwork network(random.Next(), Server(LosesHeart()), path);
    VirtualNetwork::Client& client = network.AddClient(LosesHeart());
    ExpectNoFailures(RunSession(random, scenario, network, client,
                                {.bound = seconds(2) + kIdleTimeout + seconds(5)}));
  });
}

}  // namespace
}  // namespace anywire::sim
