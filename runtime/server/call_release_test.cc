// What a call does between its end and the moment when its messages are let go of.
#include <string>

#include "anywire/cancellation.h"
#include "anywire/server.h"
#include "anywire/service.h"
#include "anywire/task.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/message_lite.h"
#include "gtest/gtest.h"
#include "runtime/server/server_call_test_base.h"
#include "runtime/server/test_service.h"
#include "tests/support/gate.h"

namespace anywire {
namespace {

using test::Gate;

// A message of the lite runtime, which is not kept for the next call: so it is destroyed when its
// call has ended.
class HeldMessage final : public google::protobuf::MessageLite {
 public:
  struct Destruction {
    Gate begun, go_on;
  };
  ~HeldMessage() override {
    if (destruction == nullptr) return;
    destruction->begun.Open();
    destruction->go_on.Wait();
  }
  std::string GetTypeName() const override { return "test.HeldMessage"; }
  MessageLite* New(google::protobuf::Arena*) const override { return new HeldMessage; }
  void Clear() override { bytes.clear(); }
  bool IsInitialized() const override { return true; }
  void CheckTypeAndMergeFrom(const MessageLite&) override {}
  size_t ByteSizeLong() const override { return bytes.size(); }
  int GetCachedSize() const override { return static_cast<int>(bytes.size()); }
  uint8_t* _InternalSerialize(uint8_t* to,
                              google::protobuf::io::EpsCopyOutputStream* stream) const override {
    return stream->WriteRaw(bytes.data(), GetCachedSize(), to);
  }

  std::string bytes;
  Destruction* destruction = nullptr;
};

class HeldService final : public Service {
 public:
  absl::string_view service_name() const override { return "test.Held"; }
  void Bind(MethodBinder& binder) override { binder.Add(kHeld, this, &HeldService::Answer); }

  static constinit const Method kHeld;
  HeldMessage::Destruction destruction;
  CancellationToken cancellation;  // of the call

 private:
  absl::Status Answer(ServerContext& context, const Text&, HeldMessage* reply) {
    cancellation = context.cancellation();
    reply->bytes = std::string(100'000, 'x');
    reply->destruction = &destruction;
    return absl::OkStatus();
  }
};
constinit const Method HeldService::kHeld("test.Held/Answer", CallShape::kUnary);

// Large messages are let go of when their call has ended, without a lock. A server that ends what
// still runs leaves it alone: nobody would be there to hear of it.
TEST_F(ServerCallTest, ACallThatOnlyLetsGoOfItsMessagesIsNotEndedByAShutdown) {
  HeldService held;
  services_.push_back(&held);
  Door door;
  service_.echo = [&door](ServerContext&, const Text&, Text*) -> Task<absl::Status> {
    co_await door.Pass();
    co_return absl::OkStatus();
  };
  RawClient& client = Start();
  const auto running = client.Call(kEcho, Wire(""));
  EXPECT_TRUE(client.Call(HeldService::kHeld, Wire(""))->WaitForEnd().ok());
  held.destruction.begun.Wait();
  server_->Shutdown(absl::ZeroDuration());
  EXPECT_FALSE(running->WaitForEnd().ok());  // so all calls have been looked at
  door.WaitUntilSomebodyWaits();
  door.Open();
  held.destruction.go_on.Open();
  server_->Wait();
  EXPECT_FALSE(held.cancellation.cancelled());
}

}  // namespace
}  // namespace anywire
