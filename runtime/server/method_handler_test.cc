#include "runtime/server/method_handler.h"

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "anywire/server_context.h"
#include "anywire/server_streams.h"
#include "anywire/service.h"
#include "google/protobuf/wrappers.pb.h"
#include "gtest/gtest.h"
#include "runtime/server/service_table.h"

namespace anywire {
namespace {

using google::protobuf::StringValue;
using internal::Invocation;
using internal::MethodHandler;

constinit const Method kUnary("test.Forms/Unary", CallShape::kUnary);
constinit const Method kUpload("test.Forms/Upload", CallShape::kClientStreaming);
constinit const Method kDownload("test.Forms/Download", CallShape::kServerStreaming);
constinit const Method kChat("test.Forms/Chat", CallShape::kBidiStreaming);
constinit const Method kBlockingUnary("test.Forms/BlockingUnary", CallShape::kUnary);
constinit const Method kBlockingChat("test.Forms/BlockingChat", CallShape::kBidiStreaming);

class Forms final : public Service {
 public:
  absl::string_view service_name() const override { return "test.Forms"; }
  void Bind(MethodBinder& binder) override {
    binder.Add(kUnary, this, &Forms::Unary);
    binder.Add(kUpload, this, &Forms::Upload);
    binder.Add(kDownload, this, &Forms::Download);
    binder.Add(kChat, this, &Forms::Chat);
    binder.Add(kBlockingUnary, this, &Forms::BlockingUnary);
    binder.Add(kBlockingChat, this, &Forms::BlockingChat);
  }

 private:
  Task<absl::Status> Unary(ServerContext&, const StringValue&, StringValue*) {
    co_return absl::OkStatus();
  }
  Task<absl::Status> Upload(ServerContext&, ServerReader<StringValue>&, StringValue*) {
    co_return absl::OkStatus();
  }
  Task<absl::Status> Download(ServerContext&, const StringValue&, ServerWriter<StringValue>&) {
    co_return absl::OkStatus();
  }
  Task<absl::Status> Chat(ServerContext&, ServerReaderWriter<StringValue, StringValue>&) {
    co_return absl::OkStatus();
  }
  absl::Status BlockingUnary(ServerContext&, const StringValue&, StringValue*) {
    return absl::OkStatus();
  }
  absl::Status BlockingChat(ServerContext&, BlockingServerReaderWriter<StringValue, StringValue>&) {
    return absl::OkStatus();
  }
};

class MethodHandlerTest : public testing::Test {
 protected:
  MethodHandlerTest() { EXPECT_TRUE(table_.Add(forms_).ok()); }
  MethodHandler& Handler(const Method& method) { return *table_.Find(method.full_name()); }

  Forms forms_;
  ServiceTable table_;
};

TEST_F(MethodHandlerTest, TheTableFindsWhatAServiceBinds) {
  EXPECT_EQ(&table_.Find("test.Forms/Chat")->method(), &kChat);
  EXPECT_EQ(table_.Find("test.Forms/chat"), nullptr);
  EXPECT_EQ(table_.Find("test.Forms"), nullptr);
  EXPECT_EQ(table_.Find(""), nullptr);
  EXPECT_EQ(table_.Find(absl::string_view("test.Forms/Chat\0", 16)), nullptr);
}

TEST_F(MethodHandlerTest, TwoServicesOfOneNameAreAMistake) {
  Forms second;
  EXPECT_EQ(table_.Add(second),
            absl::AlreadyExistsError("the server has two services named test.Forms"));
}

TEST_F(MethodHandlerTest, TheFormFollowsFromTheSignature) {
  EXPECT_EQ(Handler(kUnary).form(), MethodHandler::Form::kCoroutine);
  EXPECT_EQ(Handler(kChat).form(), MethodHandler::Form::kCoroutine);
  EXPECT_EQ(Handler(kBlockingUnary).form(), MethodHandler::Form::kBlocking);
  EXPECT_EQ(Handler(kBlockingChat).form(), MethodHandler::Form::kBlocking);
}

TEST_F(MethodHandlerTest, AnInvocationHasTheMessagesOfItsShape) {
  struct Expected {
    const Method* method;
    bool request, reply;
  };
  for (const Expected& expected : {Expected{&kUnary, true, true},
                                   {&kUpload, false, true},
                                   {&kDownload, true, false},
                                   {&kChat, false, false},
                                   {&kBlockingUnary, true, true}}) {
    const std::unique_ptr<Invocation> invocation = Handler(*expected.method).Take();
    EXPECT_EQ(invocation->request() != nullptr, expected.request) << expected.method->full_name();
    EXPECT_EQ(invocation->reply() != nullptr, expected.reply) << expected.method->full_name();
    if (expected.request && expected.reply) {
      EXPECT_NE(invocation->request(), invocation->reply());
    }
  }
}

TEST_F(MethodHandlerTest, AnInvocationIsUsedAgainWithClearMessages) {
  MethodHandler& handler = Handler(kUnary);
  std::unique_ptr<Invocation> invocation = handler.Take();
  const Invocation* const first = invocation.get();
  static_cast<StringValue*>(invocation->request())->set_value("the last call's secret");
  static_cast<StringValue*>(invocation->reply())->set_value("the last call's answer");
  handler.GiveBack(std::move(invocation), 50);
  invocation = handler.Take();
  EXPECT_EQ(invocation.get(), first);
  EXPECT_EQ(invocation->request()->ByteSizeLong(), 0u);
  EXPECT_EQ(invocation->reply()->ByteSizeLong(), 0u);
}

TEST_F(MethodHandlerTest, MessagesThatKeepMuchMemoryAreDropped) {
  MethodHandler& handler = Handler(kUnary);
  for (const bool large : {false, true}) {
    std::unique_ptr<Invocation> invocation = handler.Take();
    auto* const request = static_cast<StringValue*>(invocation->request());
    request->mutable_value()->reserve(large ? MethodHandler::kMaxRetainedBytes + 1
                                            : MethodHandler::kMaxRetainedBytes - 1024);
    const size_t kept = request->value().capacity();
    request->mutable_value()->assign(2000, 'x');
    handler.GiveBack(std::move(invocation), 2000);
    invocation = handler.Take();
    const size_t now = static_cast<StringValue*>(invocation->request())->value().capacity();
    if (large) {
      EXPECT_LT(now, kept);
    } else {
      EXPECT_EQ(now, kept);
    }
    invocation.reset();  // the next round begins afresh
  }
}

TEST_F(MethodHandlerTest, MemoryThatSmallMessagesKeepIsFoundInTime) {
  MethodHandler& handler = Handler(kUnary);
  std::unique_ptr<Invocation> invocation = handler.Take();
  static_cast<StringValue*>(invocation->request())
      ->mutable_value()
      ->reserve(2 * MethodHandler::kMaxRetainedBytes);
  size_t kept = SIZE_MAX;
  for (int runs = 0; runs < 100; ++runs) {
    handler.GiveBack(std::move(invocation), 10);
    invocation = handler.Take();
    kept = static_cast<StringValue*>(invocation->request())->value().capacity();
  }
  EXPECT_LT(kept, MethodHandler::kMaxRetainedBytes);
}

// Keeps as much as the test says.
class Large final : public Invocation {
 public:
  explicit Large(size_t bytes) : bytes_(bytes) {}
  google::protobuf::MessageLite* request() override { return nullptr; }
  google::protobuf::MessageLite* reply() override { return nullptr; }
  Task<absl::Status> StartCoroutine(ServerContext&, ServerStream&) override {
    co_return absl::OkStatus();
  }
  absl::Status RunBlocking(ServerContext&, ServerStream&) override { return absl::OkStatus(); }
  size_t RetainedBytes() const override { return bytes_; }
  void Clear() override {}

 private:
  const size_t bytes_;
};

class LargeHandler final : public MethodHandler {
 public:
  explicit LargeHandler(size_t bytes) : MethodHandler(kUnary, Form::kBlocking), bytes_(bytes) {}
  // Whether the messages of a run are used again.
  bool Reuses(size_t message_bytes) {
    std::unique_ptr<Invocation> invocation = Take();
    const Invocation* const first = invocation.get();
    GiveBack(std::move(invocation), message_bytes);
    const int made = made_;
    invocation = Take();
    const bool reused = made_ == made && invocation.get() == first;
    GiveBack(std::move(invocation), message_bytes);
    return reused;
  }

 private:
  std::unique_ptr<Invocation> NewInvocation() override {
    ++made_;
    return std::make_unique<Large>(bytes_);
  }
  const size_t bytes_;
  int made_ = 0;
};

TEST_F(MethodHandlerTest, LargeMessagesAreUsedAgainWhereTheyAreFilled) {
  constexpr size_t kBytes = 1 << 20;
  EXPECT_TRUE(LargeHandler(kBytes).Reuses(kBytes / 4));
  EXPECT_FALSE(LargeHandler(kBytes).Reuses(kBytes / 4 - 1));
  EXPECT_FALSE(LargeHandler(SIZE_MAX).Reuses(kBytes));
}

TEST_F(MethodHandlerTest, OfTheWholeProcessSoMuchIsRetained) {
  constexpr size_t kHalf = MethodHandler::kMaxRetainedByAll / 2;
  for (int round = 0; round < 2; ++round) {  // what is destroyed gives its part back
    LargeHandler first(kHalf);
    EXPECT_TRUE(first.Reuses(kHalf));
    {
      LargeHandler more(kHalf + 1);
      EXPECT_FALSE(more.Reuses(kHalf + 1));
    }
    LargeHandler second(kHalf);
    EXPECT_TRUE(second.Reuses(kHalf));
    LargeHandler third(MethodHandler::kMaxRetainedBytes + 1),
        small(MethodHandler::kMaxRetainedBytes);
    EXPECT_FALSE(third.Reuses(kHalf));
    EXPECT_TRUE(small.Reuses(kHalf));
    EXPECT_TRUE(first.Reuses(kHalf));
  }
}

// A small run after a large one does not take the memory out of the account and keep it.
TEST_F(MethodHandlerTest, LargeMemoryEndsWithTheLargeRuns) {
  constexpr size_t kAll = MethodHandler::kMaxRetainedByAll;
  LargeHandler handler(kAll), other(kAll);
  EXPECT_TRUE(handler.Reuses(kAll));
  EXPECT_FALSE(handler.Reuses(10));
  EXPECT_TRUE(other.Reuses(kAll));
}

TEST_F(MethodHandlerTest, ThreadsMayTakeAndGiveBackAtOnce) {
  MethodHandler& handler = Handler(kUnary);
  std::vector<std::thread> threads;
  for (int t = 0; t < 12; ++t) {  // more than there are slots
    threads.emplace_back([t, &handler] {
      const std::string mine = absl::StrCat("thread ", t);
      for (int i = 0; i < 2000; ++i) {
        std::unique_ptr<Invocation> invocation = handler.Take();
        auto* const request = static_cast<StringValue*>(invocation->request());
        ASSERT_TRUE(request->value().empty());
        request->set_value(mine);
        ASSERT_EQ(request->value(), mine);
        handler.GiveBack(std::move(invocation), mine.size());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace anywire
