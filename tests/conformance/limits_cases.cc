// The limits: at each, one below and one above, with the status that a breach gives; and what does
// not break with it.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "anywire/event_loop.h"
#include "anywire/registry.h"
#include "anywire/transport.h"
#include "runtime/process/runtime_core.h"
#include "tests/conformance/forms_test_base.h"

namespace anywire::test {
namespace {

// A request of exactly so many bytes on the wire.
Request RequestOfSize(size_t size) {
  Request request = MakeRequest(1, 0);
  PadTo(request, size);
  EXPECT_EQ(request.ByteSizeLong(), size);
  return request;
}

// A request whose reply has exactly so many bytes on the wire.
Request AskForReplyOfSize(size_t size) {
  Request request = MakeRequest(1, 0);
  Reply reply;
  reply.set_call(1);
  reply.set_requests_received(1);
  size_t body = size - 20;
  do {
    reply.set_body(std::string(++body, 'b'));
  } while (reply.ByteSizeLong() < size);
  EXPECT_EQ(reply.ByteSizeLong(), size);
  request.add_reply_sizes(body);
  return request;
}

class LimitsTest : public FormsTest {
 protected:
  static constexpr size_t kLimit = 20000;
  static std::string Bytes(size_t bytes) { return absl::StrCat("\"", bytes, "B\""); }

  // With `options`, a reply may have kLimit bytes and not one more.
  void ExpectRepliesLimited(const WorldOptions& options) {
    ForEachForm(
        [this](ClientForm form, const Conformance::Stub& stub) {
          EXPECT_OK(CallUnary(form, stub, AskForReplyOfSize(kLimit - 1)));
          EXPECT_OK(CallUnary(form, stub, AskForReplyOfSize(kLimit)));
          EXPECT_THAT(CallUnary(form, stub, AskForReplyOfSize(kLimit + 1)),
                      StatusIs(absl::StatusCode::kResourceExhausted));
          EXPECT_OK(CallDownload(form, stub, AskForReplyOfSize(kLimit)).status);
          EXPECT_THAT(CallDownload(form, stub, AskForReplyOfSize(kLimit + 1)).status,
                      StatusIs(absl::StatusCode::kResourceExhausted));
          ExpectAlive();
        },
        options);
  }
};
ANYWIRE_CONFORMANCE(LimitsTest, AllSettings());

TEST_P(LimitsTest, RequestAtTheClientsSendLimit) {
  ForEachForm(
      [this](ClientForm form, const Conformance::Stub& stub) {
        EXPECT_OK(CallUnary(form, stub, RequestOfSize(kLimit - 1)));
        EXPECT_OK(CallUnary(form, stub, RequestOfSize(kLimit)));
        const absl::StatusOr<Reply> refused = CallUnary(form, stub, RequestOfSize(kLimit + 1));
        EXPECT_THAT(refused, StatusIs(absl::StatusCode::kResourceExhausted));
        EXPECT_THAT(refused, Delivered(Delivery::kNotSent));
        EXPECT_THAT(CallUpload(form, stub, {RequestOfSize(kLimit + 1)}),
                    StatusIs(absl::StatusCode::kResourceExhausted));
        EXPECT_OK(CallUpload(form, stub, {RequestOfSize(kLimit)}));
        EXPECT_THAT(CallPingPong(form, stub, {RequestOfSize(kLimit + 1)}).status,
                    StatusIs(absl::StatusCode::kResourceExhausted));
        ExpectAlive();
      },
      {.client_limits = {{"max_send_message_size", Bytes(kLimit)}}});
}

TEST_P(LimitsTest, RequestAtTheServersReceiveLimit) {
  ForEachForm(
      [this](ClientForm form, const Conformance::Stub& stub) {
        EXPECT_OK(CallUnary(form, stub, RequestOfSize(kLimit - 1)));
        EXPECT_OK(CallUnary(form, stub, RequestOfSize(kLimit)));
        const uint64_t received = probe().received.value();
        EXPECT_THAT(CallUnary(form, stub, RequestOfSize(kLimit + 1)),
                    StatusIs(absl::StatusCode::kResourceExhausted));
        EXPECT_THAT(CallUpload(form, stub, {RequestOfSize(kLimit + 1)}),
                    StatusIs(absl::StatusCode::kResourceExhausted));
        EXPECT_THAT(CallPingPong(form, stub, {RequestOfSize(kLimit + 1)}).status,
                    StatusIs(absl::StatusCode::kResourceExhausted));
        EXPECT_EQ(probe().received.value(), received);
        EXPECT_OK(CallUpload(form, stub, {RequestOfSize(kLimit)}));
        ExpectAlive();
      },
      {.server_limits = {{"max_receive_message_size", Bytes(kLimit)}}});
}

TEST_P(LimitsTest, ReplyAtTheServersSendLimit) {
  ExpectRepliesLimited({.server_limits = {{"max_send_message_size", Bytes(kLimit)}}});
}

TEST_P(LimitsTest, ReplyAtTheClientsReceiveLimit) {
  ExpectRepliesLimited({.client_limits = {{"max_receive_message_size", Bytes(kLimit)}}});
}

// Metadata counts its keys, its values and 32 bytes an entry (Metadata::ByteSize).
Metadata MetadataOfSize(size_t size) {
  Metadata metadata;
  metadata.Add("echo-initial", std::string(size - 32 - 12, 'v'));
  EXPECT_EQ(metadata.ByteSize(), size);
  return metadata;
}

Metadata MetadataOfEntries(size_t entries) {
  Metadata metadata;
  for (size_t i = 0; i < entries; ++i) metadata.Add("echo-initial", absl::StrCat(i));
  return metadata;
}

absl::Status CallWith(ClientForm form, const Conformance::Stub& stub, const Metadata& metadata) {
  return CallUnary(form, stub, MakeRequest(1, 1), {.metadata = &metadata}).status();
}

TEST_P(LimitsTest, MetadataAtItsLimits) {
  constexpr size_t kSize = 2000;
  constexpr size_t kEntries = 10;
  const ConfigFields limits = {{"max_metadata_size", Bytes(kSize)},
                               {"max_metadata_entries", absl::StrCat(kEntries)}};
  for (const bool at_server : {false, true}) {
    SCOPED_TRACE(at_server ? "the server's limits" : "the client's limits");
    WorldOptions options;
    (at_server ? options.server_limits : options.client_limits) = limits;
    ForEachForm(
        [this](ClientForm form, const Conformance::Stub& stub) {
          for (const size_t below : {1, 0}) {
            EXPECT_OK(CallWith(form, stub, MetadataOfSize(kSize - below)));
            EXPECT_OK(CallWith(form, stub, MetadataOfEntries(kEntries - below)));
          }
          EXPECT_THAT(CallWith(form, stub, MetadataOfSize(kSize + 1)),
                      StatusIs(absl::StatusCode::kResourceExhausted));
          EXPECT_THAT(CallWith(form, stub, MetadataOfEntries(kEntries + 1)),
                      StatusIs(absl::StatusCode::kResourceExhausted));
          ExpectAlive();
        },
        options);
  }
}

// A client that knows how many calls a server runs lets further ones wait.
TEST_P(LimitsTest, CallsBeyondTheServersNumberWaitForTheirTurn) {
  for (ServerForm form : kServerForms) {
    SCOPED_TRACE(ServerFormName(form));
    NewWorld({.form = form, .server_limits = {{"max_concurrent_calls", "2"}}, .client_limits = {}});
    const Conformance::Stub stub(world().channel());
    EXPECT_OK(stub.Empty(Nothing()));  // after it the client knows the number
    Request request = MakeRequest(1, 10);
    request.set_hold(Request::RELEASE);
    constexpr int kCalls = 10;
    Counter ended;
    for (int i = 0; i < kCalls; ++i) {
      stub.Async().Unary(request, [&ended](absl::StatusOr<Reply> reply) {
        EXPECT_OK(reply);
        ended.Add();
      });
    }
    probe().started.WaitFor(3);  // Empty, and two of these
    EXPECT_EQ(probe().started.value(), 3u);
    probe().release.Open();
    ended.WaitFor(kCalls);
    EXPECT_EQ(probe().started.value(), 1u + kCalls);
  }
}

TEST_P(LimitsTest, CallsThatWaitHaveALimitToo) {
  NewWorld({.server_limits = {{"max_concurrent_calls", "1"}},
            .client_limits = {{"max_waiting_calls", "2"}}});
  const Conformance::Stub stub(world().channel());
  EXPECT_OK(stub.Empty(Nothing()));
  Request request = MakeRequest(1, 10);
  request.set_hold(Request::RELEASE);
  Counter ended;
  const auto start = [&stub, &request, &ended] {
    stub.Async().Unary(request, [&ended](absl::StatusOr<Reply> reply) {
      EXPECT_OK(reply);
      ended.Add();
    });
  };
  start();
  probe().started.WaitFor(2);
  start();
  start();
  const absl::StatusOr<Reply> refused = stub.Unary(request);
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(refused, Delivered(Delivery::kNotSent));
  probe().release.Open();
  ended.WaitFor(3);
  EXPECT_OK(stub.Unary(request));
}

TEST_P(LimitsTest, WorkersHaveAQueueWithALimit) {
  NewWorld(
      {.form = ServerForm::kBlocking, .runtime = {{"worker_threads", "1"}, {"worker_queue", "1"}}});
  const Conformance::Stub stub(world().channel());
  Request request = MakeRequest(1, 10);
  request.set_hold(Request::RELEASE);
  Counter refused;
  Counter ended;
  constexpr int kCalls = 4;
  const auto start = [&stub, &request, &refused, &ended] {
    stub.Async().Unary(request, [&refused, &ended](absl::StatusOr<Reply> reply) {
      if (!reply.ok()) {
        EXPECT_THAT(reply, StatusIs(absl::StatusCode::kResourceExhausted));
        EXPECT_THAT(reply, Delivered(Delivery::kNotProcessed));
        refused.Add();
      }
      ended.Add();
    });
  };
  start();
  probe().started.WaitFor(1);
  for (int i = 1; i < kCalls; ++i) start();
  refused.WaitFor(kCalls - 2);  // one runs, one waits
  probe().release.Open();
  ended.WaitFor(kCalls);
  EXPECT_EQ(refused.value(), kCalls - 2u);
  EXPECT_EQ(probe().started.value(), 2u);
}

// Connections beyond the server's number are closed at once, and find room when another has gone.
TEST_P(LimitsTest, ConnectionsBeyondTheServersNumberAreClosed) {
  NewWorld({.service = {{"max_connections", "1"}}});
  auto first = std::make_unique<Conformance::Stub>(world().NewChannel());
  ASSERT_OK(first->Empty(Nothing()));
  const Conformance::Stub second(world().NewChannel());
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(second.Empty(Nothing()), StatusIs(absl::StatusCode::kUnavailable));
    ASSERT_OK(first->Empty(Nothing()));
  }
  EXPECT_EQ(probe().started.value(), 4u);
  first.reset();
  while (!second.Empty(Nothing()).ok()) {  // until the server has seen it go
  }
}

// More methods than the server remembers: their names are sent in full, and all works as before.
TEST_P(LimitsTest, MoreMethodsThanTheServerRemembers) {
  ForEachForm(
      [](ClientForm form, const Conformance::Stub& stub) {
        for (int round = 0; round < 3; ++round) {
          EXPECT_OK(CallEmpty(form, stub));
          EXPECT_OK(CallUnary(form, stub, MakeRequest(1, 1)));
          EXPECT_OK(CallUpload(form, stub, {MakeRequest(1, 1)}));
          EXPECT_OK(CallPingPong(form, stub, {MakeRequest(1, 1)}).status);
        }
      },
      {.server_limits = {{"max_methods", "0"}}});
}

// A connection whose client says nothing, and listens.
class SilentPeer final : private Connection::Events {
 public:
  SilentPeer(const TransportRegistry& registry, absl::string_view address) : loop_("silent-peer") {
    const absl::StatusOr<TransportRegistry::Target> target = registry.Resolve(address);
    EXPECT_OK(target);
    loop_.Post([this, transport = target->transport, address = target->address] {
      loop_.Detach(transport->Connect(loop_, address, {})
                       .then([this](absl::StatusOr<std::unique_ptr<Connection>> connection) {
                         ASSERT_OK(connection);
                         connection_ = *std::move(connection);
                         connection_->Start(*this);
                         connection_->WatchReadable(true);
                       }),
                   "connect");
    });
  }
  ~SilentPeer() override {
    loop_.RunAndWait([this] { connection_ = nullptr; });
  }

  void WaitUntilDropped() { dropped_.Wait(); }

 private:
  void OnReadable() override {
    if (connection_->Receive(std::chrono::steady_clock::time_point::min()).ok()) {
      connection_->ReleaseFrames();
    } else {
      connection_->WatchReadable(false);
      dropped_.Open();
    }
  }
  void OnWritable() override {}

  EventLoop loop_;
  std::unique_ptr<Connection> connection_;
  Gate dropped_;
};

// Not with handicaps: they may hold back a hello.
class HandshakeTest : public FormsTest {};
ANYWIRE_CONFORMANCE(HandshakeTest, PlainSettings());

TEST_P(HandshakeTest, WhoSaysNothingInTimeIsDroppedAndNobodyElse) {
  constexpr std::chrono::seconds kTimeout(2);
  NewWorld({.server_limits = {{"handshake_timeout", "\"2s\""}}});
  const Conformance::Stub stub(world().channel());
  ASSERT_OK(stub.Empty(Nothing()));
  const auto begin = std::chrono::steady_clock::now();
  SilentPeer silent(world().runtime().core().registry(), world().address());
  silent.WaitUntilDropped();
  EXPECT_GE(std::chrono::steady_clock::now() - begin, kTimeout);
  // The client has been connected for longer than that, and still is.
  const uint64_t connections = world().faults().connections();
  ASSERT_OK(stub.Empty(Nothing()));
  EXPECT_EQ(world().faults().connections(), connections);
}

// Not with every handicap: sizes like these by single bytes take minutes.
class LargeMessageTest : public FormsTest {};
ANYWIRE_CONFORMANCE(LargeMessageTest, PlainSettings());

TEST_P(LargeMessageTest, SixtyFourMebibytesWhereAllowed) {
  constexpr size_t kLarge = 64 << 20;
  const ConfigFields limits = {{"max_receive_message_size", "\"64MiB\""},
                               {"max_send_message_size", "\"64MiB\""}};
  for (ServerForm form : kServerForms) {
    SCOPED_TRACE(ServerFormName(form));
    NewWorld({.form = form, .server_limits = limits, .client_limits = limits});
    const Conformance::Stub stub(world().channel());
    const absl::StatusOr<Reply> sent = stub.Unary(RequestOfSize(kLarge));
    ASSERT_OK(sent);
    EXPECT_GT(sent->body_bytes_received(), kLarge - 100);
    const Request asking = AskForReplyOfSize(kLarge);
    const absl::StatusOr<Reply> received = stub.Unary(asking);
    ASSERT_OK(received);
    EXPECT_OK(CheckReply(asking, *received, 0, asking.reply_sizes(0)));
    EXPECT_THAT(stub.Unary(RequestOfSize(kLarge + 1)),
                StatusIs(absl::StatusCode::kResourceExhausted));
    ExpectAlive();
  }
}

// While it passes, small calls of the same connection pass between its pieces: they end before half
// of it can have passed.
TEST_P(LargeMessageTest, SmallCallsPassBetweenThePieces) {
  constexpr size_t kPieceSize = 16 << 10;
  constexpr size_t kPieces = 2048;
  const ConfigFields limits = {{"max_receive_message_size", "\"64MiB\""},
                               {"max_send_message_size", "\"64MiB\""}};
  Setting setting = GetParam();
  setting.handicap.faults.max_frame_size = kPieceSize;
  setting.handicap.faults.room = 4 * kPieceSize;
  NewWorld(setting, {.server_limits = limits, .client_limits = limits});
  const Conformance::Stub stub(world().channel());
  ASSERT_OK(stub.Empty(Nothing()));
  world().faults().Stall(true);
  Gate large_ended;
  stub.Async().Unary(RequestOfSize(kPieces * kPieceSize),
                     [&large_ended](absl::StatusOr<Reply> reply) {
                       EXPECT_OK(reply);
                       large_ended.Open();
                     });
  Gate small_ended[5];
  for (Gate& ended : small_ended) {
    stub.Async().Empty(Nothing(), [&ended](absl::StatusOr<Nothing> reply) {
      EXPECT_OK(reply);
      ended.Open();
    });
  }
  world().faults().StallAfterFrames(kPieces / 2);
  for (Gate& ended : small_ended) ended.Wait();
  EXPECT_FALSE(large_ended.IsOpen());
  world().faults().Stall(false);
  large_ended.Wait();
}

}  // namespace
}  // namespace anywire::test
