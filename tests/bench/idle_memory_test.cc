// What an idle connection costs in memory, over every registered transport: a budget, which a
// change that exceeds it has to argue for.
#include <malloc.h>

#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "anywire/builtin.h"
#include "anywire/channel.h"
#include "anywire/registry.h"
#include "anywire/server.h"
#include "gtest/gtest.h"
#include "tests/bench/bench.anywire.h"
#include "tests/support/temp_dir.h"

namespace anywire::bench {
namespace {

// Bytes of heap that both sides of a connection may hold once it has had its calls, the channel
// and what malloc itself needs included.
size_t BudgetOf(absl::string_view scheme) {
  if (scheme == "shm") return 10752;  // beside the memory that is shared
  if (scheme == "udp") return 15000;  // what the kernel keeps for the others
  return 2 * 4096;
}
constexpr size_t kConnections = 300;  // two descriptors each

size_t HeapInUse() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

class WorkService final : public Work::Service {
  Task<absl::Status> Do(ServerContext& /*context*/, const EchoMessage& request,
                        EchoMessage* reply) override {
    *reply = request;
    co_return absl::OkStatus();
  }
};

void CallOn(const Channel& channel) {
  EchoMessage request;
  request.set_payload(std::string(64, 'x'));
  for (int i = 0; i < 3; ++i) {
    const absl::StatusOr<EchoMessage> reply = Work::Stub(channel).Do(request);
    ASSERT_TRUE(reply.ok()) << reply.status();
  }
}

TEST(IdleMemoryTest, OfEveryTransportIsWithinItsBudget) {
  const test::TempDir folder;
  TransportRegistry registry;
  RegisterBuiltinTransports(registry);
  for (Transport* const transport : registry.transports()) {
    const std::string scheme(transport->scheme());
    SCOPED_TRACE(scheme);
    WorkService service;
    Server server;
    server.Listen(scheme + ":" + transport->FreshAddress(folder.path()));
    server.AddService(&service);
    ASSERT_TRUE(server.Start().ok());
    const std::string uri = server.addresses().front();

    std::vector<Channel> channels;
    channels.reserve(2 * kConnections);
    // What the process needs once, and tables that grow by doubling, come first.
    for (size_t i = 0; i < kConnections; ++i) CallOn(channels.emplace_back(uri));
    const size_t before = HeapInUse();
    for (size_t i = 0; i < kConnections; ++i) CallOn(channels.emplace_back(uri));
    const size_t each = (HeapInUse() - before) / kConnections;
    std::printf("%s: %zu bytes for both sides of an idle connection\n", scheme.c_str(), each);
    EXPECT_LE(each, BudgetOf(scheme));

    channels.clear();
    server.Shutdown(absl::ZeroDuration());
    server.Wait();
  }
}

}  // namespace
}  // namespace anywire::bench
