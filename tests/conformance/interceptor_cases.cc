// Interceptors of clients and servers: their order, what they see, what they may change.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/conformance/forms_test_base.h"

namespace anywire::test {
namespace {

using ::testing::ElementsAre;

// What the watchers of one test have seen, in order.
class Journal {
 public:
  void Note(std::string line) ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    lines_.push_back(std::move(line));
  }
  // Empties the journal.
  std::vector<std::string> Take() ABSL_LOCKS_EXCLUDED(mutex_) {
    absl::MutexLock lock(&mutex_);
    return std::exchange(lines_, {});
  }

 private:
  absl::Mutex mutex_;
  std::vector<std::string> lines_ ABSL_GUARDED_BY(mutex_);
};

// How an interceptor of this test behaves, beside noting what it sees under its name.
struct Behaviour {
  std::string name;
  absl::Status refuse = absl::OkStatus();  // what OnStart returns
  std::string metadata_key = "";           // added at the start
  bool replace_status = false;  // OnFinish: NOT_FOUND becomes OUT_OF_RANGE, which becomes ABORTED
};

void ReplaceStatus(absl::Status& status) {
  if (status.code() == absl::StatusCode::kNotFound) {
    status = absl::OutOfRangeError("replaced");
  } else if (status.code() == absl::StatusCode::kOutOfRange) {
    status = absl::AbortedError("replaced twice");
  }
}

// What the watchers of both sides do alike.
template <typename CallWatcher>
class NotingWatcher : public CallWatcher {
 public:
  NotingWatcher(const Behaviour& behaviour, Journal& journal)
      : behaviour_(behaviour), journal_(journal) {}
  void OnSendMessage(const google::protobuf::MessageLite& message) override {
    Note(absl::StrCat("sends ", message.GetTypeName()));
  }
  void OnReceiveMessage(const google::protobuf::MessageLite& message) override {
    Note(absl::StrCat("receives ", message.GetTypeName()));
  }
  void OnFinish(absl::Status& status, const Metadata& trailing, absl::Duration elapsed) override {
    EXPECT_GE(elapsed, absl::ZeroDuration());
    Note(absl::StrCat("finish ", absl::StatusCodeToString(status.code()),
                      ", trailing: ", trailing.size()));
    if (behaviour_.replace_status) ReplaceStatus(status);
  }

 protected:
  void Note(absl::string_view what) { journal_.Note(absl::StrCat(behaviour_.name, " ", what)); }
  const Behaviour& behaviour_;

 private:
  Journal& journal_;
};

class ClientWatcher final : public NotingWatcher<ClientCallWatcher> {
 public:
  using NotingWatcher::NotingWatcher;
  absl::Status OnStart(Metadata& metadata) override {
    Note("start");
    if (!behaviour_.metadata_key.empty()) metadata.Add(behaviour_.metadata_key, behaviour_.name);
    return behaviour_.refuse;
  }
  void OnInitialMetadata(const Metadata& metadata) override {
    Note(absl::StrCat("initial metadata: ", metadata.size()));
  }
};

class TestClientInterceptor final : public ClientInterceptor {
 public:
  TestClientInterceptor(Behaviour behaviour, Journal& journal)
      : behaviour_(std::move(behaviour)), journal_(journal) {}
  std::unique_ptr<ClientCallWatcher> Intercept(const Method& method,
                                               absl::string_view target) override {
    if (method.full_name() == "anywire.conformance.Conformance/Empty") return nullptr;
    EXPECT_NE(target, "");
    return std::make_unique<ClientWatcher>(behaviour_, journal_);
  }

 private:
  const Behaviour behaviour_;
  Journal& journal_;
};

class ServerWatcher final : public NotingWatcher<ServerCallWatcher> {
 public:
  using NotingWatcher::NotingWatcher;
  absl::Status OnStart(ServerContext& context) override {
    Note("start");
    if (!behaviour_.metadata_key.empty()) {
      context.AddTrailingMetadata(behaviour_.metadata_key, behaviour_.name);
    }
    return behaviour_.refuse;
  }
};

class TestServerInterceptor final : public ServerInterceptor {
 public:
  TestServerInterceptor(Behaviour behaviour, Journal& journal)
      : behaviour_(std::move(behaviour)), journal_(journal) {}
  std::unique_ptr<ServerCallWatcher> Intercept(const Method& method) override {
    if (method.full_name() == "anywire.conformance.Conformance/Empty") return nullptr;
    return std::make_unique<ServerWatcher>(behaviour_, journal_);
  }

 private:
  const Behaviour behaviour_;
  Journal& journal_;
};

class InterceptorTest : public FormsTest {
 protected:
  Conformance::Stub ClientWith(std::vector<Behaviour> behaviours) {
    Channel channel = world().channel();
    for (Behaviour& behaviour : behaviours) {
      channel = channel.Intercepted(
          std::make_shared<TestClientInterceptor>(std::move(behaviour), journal_));
    }
    return Conformance::Stub(channel);
  }
  WorldOptions ServerWith(ServerForm form, std::vector<Behaviour> behaviours) {
    WorldOptions options = {.form = form};
    for (Behaviour& behaviour : behaviours) {
      options.interceptors.push_back(
          std::make_shared<TestServerInterceptor>(std::move(behaviour), journal_));
    }
    return options;
  }
  static Request Failing() {
    Request request = MakeRequest(1, 1);
    request.mutable_status()->set_code(static_cast<int>(absl::StatusCode::kNotFound));
    return request;
  }
  Journal journal_;
};
ANYWIRE_CONFORMANCE(InterceptorTest, AllSettings());

constexpr char kSendsRequest[] = " sends anywire.conformance.Request";
constexpr char kSendsReply[] = " sends anywire.conformance.Reply";
constexpr char kReceivesRequest[] = " receives anywire.conformance.Request";
constexpr char kReceivesReply[] = " receives anywire.conformance.Reply";

std::string Line(const char* name, const char* what) { return absl::StrCat(name, what); }

TEST_P(InterceptorTest, OfTheClientSeeAUnaryCallInOrder) {
  NewWorld();
  const Conformance::Stub stub = ClientWith({{.name = "a"}, {.name = "b"}});
  const Metadata metadata = {{"echo-initial", "1"}, {"echo-trailing", "2"}};
  for (ClientForm form : kClientForms) {
    SCOPED_TRACE(ClientFormName(form));
    EXPECT_OK(CallUnary(form, stub, MakeRequest(1, 1), {.metadata = &metadata}));
    // What leaves passes a, then b; what arrives passes b, then a.
    EXPECT_THAT(journal_.Take(), ElementsAre("a start", "b start", Line("a", kSendsRequest),
                                             Line("b", kSendsRequest), "b initial metadata: 1",
                                             "a initial metadata: 1", Line("b", kReceivesReply),
                                             Line("a", kReceivesReply), "b finish OK, trailing: 1",
                                             "a finish OK, trailing: 1"));
  }
}

TEST_P(InterceptorTest, OfTheClientSeeEveryMessageOfAStream) {
  NewWorld();
  const Conformance::Stub stub = ClientWith({{.name = "a"}});
  for (ClientForm form : kClientForms) {
    SCOPED_TRACE(ClientFormName(form));
    EXPECT_OK(
        CallPingPong(form, stub, {MakeRequest(1, 1, {1}, 0), MakeRequest(1, 1, {1}, 1)}).status);
    std::vector<std::string> seen = journal_.Take();
    seen.erase(std::remove(seen.begin(), seen.end(), "a initial metadata: 0"), seen.end());
    EXPECT_THAT(seen, ElementsAre("a start", Line("a", kSendsRequest), Line("a", kReceivesReply),
                                  Line("a", kSendsRequest), Line("a", kReceivesReply),
                                  "a finish OK, trailing: 0"));
  }
}

TEST_P(InterceptorTest, OfTheServerSeeAUnaryCallInOrder) {
  for (ServerForm form : kServerForms) {
    SCOPED_TRACE(ServerFormName(form));
    NewWorld(ServerWith(form, {{.name = "a"}, {.name = "b"}}));
    const Conformance::Stub stub(world().channel());
    EXPECT_OK(stub.Unary(MakeRequest(1, 1)));
    world().StopServer();
    // What arrives passes b, then a; what leaves passes a, then b.
    EXPECT_THAT(journal_.Take(), ElementsAre("b start", "a start", Line("b", kReceivesRequest),
                                             Line("a", kReceivesRequest), Line("a", kSendsReply),
                                             Line("b", kSendsReply), "a finish OK, trailing: 0",
                                             "b finish OK, trailing: 0"));
  }
}

TEST_P(InterceptorTest, OfTheServerSeeEveryMessageOfAStream) {
  for (ServerForm form : kServerForms) {
    SCOPED_TRACE(ServerFormName(form));
    NewWorld(ServerWith(form, {{.name = "a"}}));
    const Conformance::Stub stub(world().channel());
    EXPECT_OK(CallPingPong(ClientForm::kBlocking, stub,
                           {MakeRequest(1, 1, {1}, 0), MakeRequest(1, 1, {1}, 1)})
                  .status);
    world().StopServer();
    EXPECT_THAT(journal_.Take(), ElementsAre("a start", Line("a", kReceivesRequest),
                                             Line("a", kSendsReply), Line("a", kReceivesRequest),
                                             Line("a", kSendsReply), "a finish OK, trailing: 0"));
  }
}

TEST_P(InterceptorTest, AddMetadata) {
  std::vector<std::string> seen;
  NewWorld(ServerWith(ServerForm::kCoroutine, {{.name = "server", .metadata_key = "by-server"}}));
  probe().OnStart([&seen](ServerContext& context) {
    for (absl::string_view value : context.client_metadata().GetAll("by-client")) {
      seen.emplace_back(value);
    }
  });
  const Conformance::Stub stub = ClientWith(
      {{.name = "a", .metadata_key = "by-client"}, {.name = "b", .metadata_key = "by-client"}});
  ReceivedMetadata received;
  EXPECT_OK(stub.Unary(MakeRequest(1, 1), {.received = &received}));
  probe().started.WaitFor(1);
  EXPECT_THAT(seen, ElementsAre("a", "b"));
  EXPECT_EQ(received.trailing.Get("by-server"), "server");
}

TEST_P(InterceptorTest, OfTheClientReplaceTheStatus) {
  NewWorld();
  const Conformance::Stub stub =
      ClientWith({{.name = "a", .replace_status = true}, {.name = "b", .replace_status = true}});
  for (ClientForm form : kClientForms) {
    SCOPED_TRACE(ClientFormName(form));
    EXPECT_THAT(CallUnary(form, stub, Failing()),
                StatusIs(absl::StatusCode::kAborted, std::string("replaced twice")));
    EXPECT_THAT(CallPingPong(form, stub, {Failing()}).status,
                StatusIs(absl::StatusCode::kAborted, std::string("replaced twice")));
  }
}

TEST_P(InterceptorTest, OfTheServerReplaceTheStatus) {
  for (ServerForm form : kServerForms) {
    SCOPED_TRACE(ServerFormName(form));
    NewWorld(ServerWith(
        form, {{.name = "a", .replace_status = true}, {.name = "b", .replace_status = true}}));
    const Conformance::Stub stub(world().channel());
    EXPECT_THAT(stub.Unary(Failing()),
                StatusIs(absl::StatusCode::kAborted, std::string("replaced twice")));
    EXPECT_THAT(CallPingPong(ClientForm::kBlocking, stub, {Failing()}).status,
                StatusIs(absl::StatusCode::kAborted, std::string("replaced twice")));
  }
}

TEST_P(InterceptorTest, OfTheClientRefuseACallBeforeItIsSent) {
  NewWorld();
  const Conformance::Stub stub =
      ClientWith({{.name = "a", .refuse = absl::PermissionDeniedError("not today")}});
  for (ClientForm form : kClientForms) {
    SCOPED_TRACE(ClientFormName(form));
    const absl::StatusOr<Reply> unary = CallUnary(form, stub, MakeRequest(1, 1));
    EXPECT_THAT(unary, StatusIs(absl::StatusCode::kPermissionDenied, std::string("not today")));
    EXPECT_THAT(unary, Delivered(Delivery::kNotSent));
    EXPECT_THAT(CallPingPong(form, stub, {MakeRequest(1, 1)}).status,
                StatusIs(absl::StatusCode::kPermissionDenied));
    EXPECT_OK(CallEmpty(form, stub));  // of which it has no interest
  }
  EXPECT_EQ(probe().received.value(), 0u);
}

TEST_P(InterceptorTest, OfTheServerRefuseACallBeforeItsHandler) {
  for (ServerForm form : kServerForms) {
    SCOPED_TRACE(ServerFormName(form));
    NewWorld(
        ServerWith(form, {{.name = "a", .refuse = absl::UnauthenticatedError("who are you")}}));
    ForEachClientForm([](ClientForm form, const Conformance::Stub& stub) {
      const absl::StatusOr<Reply> unary = CallUnary(form, stub, MakeRequest(1, 1));
      EXPECT_THAT(unary, StatusIs(absl::StatusCode::kUnauthenticated, std::string("who are you")));
      EXPECT_THAT(unary, Delivered(Delivery::kNotProcessed));
      EXPECT_THAT(CallUpload(form, stub, {MakeRequest(1, 1)}),
                  StatusIs(absl::StatusCode::kUnauthenticated));
      EXPECT_THAT(CallPingPong(form, stub, {MakeRequest(1, 1)}).status,
                  StatusIs(absl::StatusCode::kUnauthenticated));
      EXPECT_OK(CallEmpty(form, stub));
    });
    EXPECT_EQ(probe().received.value(), 0u);
  }
}

// However a call ends, its watchers hear of it once.
TEST_P(InterceptorTest, HearOfEveryEnd) {
  NewWorld(ServerWith(ServerForm::kCoroutine, {{.name = "server"}}));
  const Conformance::Stub stub = ClientWith({{.name = "client"}});
  Request holding = MakeRequest(1, 1);
  holding.set_hold(Request::CANCELLATION);
  EXPECT_THAT(stub.Unary(holding, {.timeout = absl::Milliseconds(30)}),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
  { auto abandoned = stub.Chat(); }
  EXPECT_THAT(stub.Unary(MakeRequest(1, 1), {.timeout = absl::ZeroDuration()}),
              StatusIs(absl::StatusCode::kDeadlineExceeded));
  world().StopServer();
  std::vector<std::string> ends;
  int starts = 0;
  for (const std::string& line : journal_.Take()) {
    if (line == "client start" || line == "server start") ++starts;
    if (line.find("finish") != std::string::npos) ends.push_back(line);
  }
  EXPECT_EQ(static_cast<int>(ends.size()), starts) << ::testing::PrintToString(ends);
}

}  // namespace
}  // namespace anywire::test
