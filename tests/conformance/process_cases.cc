// Two processes: the peer is killed at every stage, and a server ends by signals.
#include <signal.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/conformance/forms_test_base.h"
#include "tests/conformance/peer.h"

namespace anywire::test {
namespace {

const auto kIsUnavailable = StatusIs(absl::StatusCode::kUnavailable);

Request Held(Request::Hold hold, std::vector<uint32_t> reply_sizes = {}) {
  Request request = MakeRequest(1, 10, std::move(reply_sizes));
  request.set_hold(hold);
  return request;
}

void ExpectLine(ChildProcess& child, const std::string& line) {
  const absl::StatusOr<std::string> read = child.ReadLine();
  ASSERT_TRUE(read.ok()) << "waiting for \"" << line << "\": " << read.status();
  ASSERT_EQ(*read, line);
}

// ---- a server that is another process

class ServerProcessTest : public SettingTest {
 protected:
  void SetUp() override {
    SettingTest::SetUp();
    scratch_.emplace();
    TransportRegistry registry = MakeRegistry();
    runtime_ = std::make_unique<Runtime>(MakeRegistry());
    // An address that is sure to be free: opened for a moment.
    Server server(*runtime_);
    server.Listen(FreshUri(registry, GetParam().scheme, scratch_->path()));
    ASSERT_OK(server.Start());
    address_ = server.addresses().front();
    server.Shutdown(absl::ZeroDuration());
    server.Wait();
    channel_.emplace(*runtime_, address_);
  }
  void TearDown() override {
    peer_.reset();
    channel_.reset();
    runtime_.reset();
    scratch_.reset();
    SettingTest::TearDown();
  }

  void StartPeer(ServerForm form = ServerForm::kCoroutine, const std::string& config = "") {
    peer_ = StartServerPeer(address_, form, config);
    ExpectLine(*peer_, "listening");
  }
  void KillPeer() {
    peer_->Signal(SIGKILL);
    EXPECT_EQ(peer_->Wait(), 128 + SIGKILL);
  }
  // A unary call in the background.
  std::thread CallInBackground(const Request& request, absl::Status* status) {
    return std::thread([this, request, status] {
      *status = Conformance::Stub(*channel_).Unary(request).status();
    });
  }

  std::optional<TempDir> scratch_;
  std::unique_ptr<Runtime> runtime_;
  std::string address_;
  std::optional<Channel> channel_;
  std::unique_ptr<ChildProcess> peer_;
};
ANYWIRE_CONFORMANCE(ServerProcessTest, ProcessSettings());

TEST_P(ServerProcessTest, KilledBeforeItSaysAWord) {
  StartPeer();
  peer_->Signal(SIGSTOP);  // the system accepts connections for it, and it never looks at them
  absl::Status status;
  std::thread caller = CallInBackground(MakeRequest(1, 10), &status);
  peer_->Signal(SIGKILL);
  EXPECT_EQ(peer_->Wait(), 128 + SIGKILL);
  caller.join();
  EXPECT_THAT(status, kIsUnavailable);
}

TEST_P(ServerProcessTest, SilentFromTheStart) {
  StartPeer();
  peer_->Signal(SIGSTOP);
  const Conformance::Stub stub(*channel_);
  EXPECT_THAT(stub.Unary(MakeRequest(1, 10), {.timeout = absl::Milliseconds(50)}),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
  auto stream = stub.Chat({.timeout = absl::Milliseconds(50)});
  Reply reply;
  EXPECT_FALSE(stream.Read(&reply));
  EXPECT_THAT(stream.Finish(), StatusIs(absl::StatusCode::kDeadlineExceeded));
}

TEST_P(ServerProcessTest, KilledWhileAHandlerRuns) {
  for (ServerForm form : kServerForms) {
    SCOPED_TRACE(ServerFormName(form));
    StartPeer(form);
    absl::Status status;
    std::thread caller = CallInBackground(Held(Request::CANCELLATION), &status);
    ExpectLine(*peer_, "started");
    KillPeer();
    caller.join();
    EXPECT_THAT(status, kIsUnavailable);
    EXPECT_THAT(status, Delivered(Delivery::kUnknown));
  }
}

TEST_P(ServerProcessTest, KilledMidUpload) {
  StartPeer();
  const Conformance::Stub stub(*channel_);
  auto writer = stub.Upload();
  ASSERT_TRUE(writer.Write(MakeRequest(1, 10)));
  ExpectLine(*peer_, "started");
  KillPeer();
  uint32_t index = 1;
  while (writer.Write(MakeRequest(1, 10000, {}, index))) ++index;
  EXPECT_THAT(writer.Finish(), kIsUnavailable);
}

TEST_P(ServerProcessTest, KilledMidDownload) {
  StartPeer();
  const Conformance::Stub stub(*channel_);
  const Request request = MakeRequest(1, 10, std::vector<uint32_t>(2000, 8000));
  auto reader = stub.Download(request);
  Reply reply;
  ASSERT_TRUE(reader.Read(&reply));
  KillPeer();
  // What has come can be read, unbroken; then it ends.
  uint32_t index = 1;
  while (reader.Read(&reply)) {
    EXPECT_OK(CheckReply(request, reply, index, 8000));
    ++index;
  }
  EXPECT_LT(index, 2000u);
  EXPECT_THAT(reader.Finish(), kIsUnavailable);
}

TEST_P(ServerProcessTest, KilledWhileItDrains) {
  StartPeer();
  absl::Status status;
  std::thread caller = CallInBackground(Held(Request::CANCELLATION), &status);
  ExpectLine(*peer_, "started");
  peer_->Signal(SIGTERM);
  const Conformance::Stub stub(*channel_);
  while (stub.Unary(MakeRequest(2, 10)).ok()) {  // until it drains
  }
  KillPeer();
  caller.join();
  EXPECT_THAT(status, kIsUnavailable);
}

TEST_P(ServerProcessTest, AnotherTakesItsPlace) {
  const Conformance::Stub stub(*channel_);
  for (int i = 0; i < 3; ++i) {
    StartPeer();  // a file that a dead server left is no obstacle
    EXPECT_OK(stub.Empty(Nothing()));
    KillPeer();
    EXPECT_THAT(stub.Empty(Nothing()), kIsUnavailable);
  }
}

TEST_P(ServerProcessTest, TermEndsAnIdleServer) {
  for (ServerForm form : kServerForms) {
    SCOPED_TRACE(ServerFormName(form));
    StartPeer(form);
    const Conformance::Stub stub(*channel_);
    EXPECT_OK(stub.Empty(Nothing()));
    peer_->Signal(form == ServerForm::kCoroutine ? SIGTERM : SIGINT);
    EXPECT_EQ(peer_->Wait(), 0);
    const absl::StatusOr<Nothing> late = stub.Empty(Nothing());
    EXPECT_THAT(late, kIsUnavailable);
    EXPECT_NE(DeliveryOf(late.status()), Delivery::kUnknown);
  }
}

TEST_P(ServerProcessTest, TermLetsRunningCallsFinish) {
  for (ServerForm form : kServerForms) {
    SCOPED_TRACE(ServerFormName(form));
    StartPeer(form);
    absl::Status status = absl::UnknownError("has not ended");
    std::thread caller = CallInBackground(Held(Request::RELEASE), &status);
    ExpectLine(*peer_, "started");
    peer_->Signal(SIGTERM);
    // Until it drains, calls pass; then they are refused, and proven to be unprocessed.
    const Conformance::Stub stub(*channel_);
    absl::Status refused;
    while (refused.ok()) refused = stub.Empty(Nothing()).status();
    EXPECT_THAT(refused, kIsUnavailable);
    EXPECT_NE(DeliveryOf(refused), Delivery::kUnknown) << refused;
    peer_->WriteLine("release");
    caller.join();
    EXPECT_OK(status);
    EXPECT_EQ(peer_->Wait(), 0);
  }
}

TEST_P(ServerProcessTest, ASecondTermEndsTheDrainAtOnce) {
  for (ServerForm form : kServerForms) {
    SCOPED_TRACE(ServerFormName(form));
    StartPeer(form, "drain_timeout: \"inf\"");
    absl::Status status;
    std::thread caller = CallInBackground(Held(Request::CANCELLATION), &status);
    ExpectLine(*peer_, "started");
    peer_->Signal(SIGTERM);
    const Conformance::Stub stub(*channel_);
    while (stub.Empty(Nothing()).ok()) {  // until it drains
    }
    peer_->Signal(SIGTERM);
    EXPECT_EQ(peer_->Wait(), 1);
    caller.join();
    EXPECT_FALSE(status.ok());
  }
}

TEST_P(ServerProcessTest, WhatOutlastsTheDrainTimeIsCancelled) {
  StartPeer(ServerForm::kCoroutine, "drain_timeout: \"20ms\"");
  absl::Status status;
  std::thread caller = CallInBackground(Held(Request::CANCELLATION), &status);
  ExpectLine(*peer_, "started");
  peer_->Signal(SIGTERM);
  EXPECT_EQ(peer_->Wait(), 1);
  caller.join();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(status, Delivered(Delivery::kUnknown));
}

TEST_P(ServerProcessTest, TwoAtOneAddress) {
  StartPeer();
  const std::unique_ptr<ChildProcess> second = StartServerPeer(address_, ServerForm::kCoroutine);
  EXPECT_EQ(second->Wait(), 2);
  EXPECT_OK(Conformance::Stub(*channel_).Empty(Nothing()));
}

// ---- a client that is another process

class ClientProcessTest : public FormsTest {};
ANYWIRE_CONFORMANCE(ClientProcessTest, ProcessSettings());

TEST_P(ClientProcessTest, KilledAtEachStage) {
  for (ServerForm form : kServerForms) {
    SCOPED_TRACE(ServerFormName(form));
    for (ClientStage stage :
         {ClientStage::kUnary, ClientStage::kUpload, ClientStage::kBlocked, ClientStage::kChat}) {
      SCOPED_TRACE(static_cast<int>(stage));
      NewWorld({.form = form});
      const std::unique_ptr<ChildProcess> client = StartClientPeer(world().address(), stage);
      ExpectLine(*client, "reached");
      probe().received.WaitFor(1);
      client->Signal(SIGKILL);
      EXPECT_EQ(client->Wait(), 128 + SIGKILL);
      probe().ended.WaitFor(1);
      if (stage == ClientStage::kUnary || stage == ClientStage::kChat) {
        EXPECT_EQ(probe().cancelled.value(), 1u);
      }
      ExpectAlive();
    }
  }
}

TEST_P(ClientProcessTest, CancelCrossesProcesses) {
  const std::unique_ptr<ChildProcess> client =
      StartClientPeer(world().address(), ClientStage::kDropped);
  ExpectLine(*client, "reached");
  probe().cancelled.WaitFor(1);
}

TEST_P(ClientProcessTest, TheirIdentityIsKnownWhereTheSystemVouchesForIt) {
  std::optional<PeerIdentity::Credentials> seen;
  probe().OnStart([&seen](ServerContext& context) { seen = context.peer().peer.credentials; });
  const std::unique_ptr<ChildProcess> client =
      StartClientPeer(world().address(), ClientStage::kUnary);
  probe().started.WaitFor(1);
  if (seen.has_value()) {
    EXPECT_EQ(seen->pid, client->pid());
  }
  client->Signal(SIGKILL);
  probe().ended.WaitFor(1);
}

}  // namespace
}  // namespace anywire::test
