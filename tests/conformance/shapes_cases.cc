// The four call shapes, in all forms of client and server: sizes, order, half-close.
#include <atomic>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "tests/conformance/forms_test_base.h"

namespace anywire::test {
namespace {

class ShapesTest : public FormsTest {};
ANYWIRE_CONFORMANCE(ShapesTest, AllSettings());

// Bodies around the places where something changes: nothing at all, length prefixes, small frames,
// tiny windows.
constexpr uint32_t kSizes[] = {0, 1, 127, 128, 1000, 1024, 1025, 5000, 16384, 40000};

std::vector<Request> MakeRequests(uint64_t call, const std::vector<uint32_t>& sizes,
                                  const std::vector<uint32_t>& reply_sizes = {}) {
  std::vector<Request> requests;
  for (uint32_t size : sizes) {
    requests.push_back(MakeRequest(call, size, reply_sizes, requests.size()));
  }
  return requests;
}

void ExpectReplies(const Request& request, const std::vector<uint32_t>& sizes,
                   const std::vector<Reply>& replies) {
  ASSERT_EQ(replies.size(), sizes.size());
  for (size_t i = 0; i < sizes.size(); ++i) EXPECT_OK(CheckReply(request, replies[i], i, sizes[i]));
}

TEST_P(ShapesTest, EmptyUnary) {
  ForEachForm(
      [](ClientForm form, const Conformance::Stub& stub) { EXPECT_OK(CallEmpty(form, stub)); });
}

TEST_P(ShapesTest, UnaryOfEverySize) {
  ForEachForm([](ClientForm form, const Conformance::Stub& stub) {
    for (uint32_t size : kSizes) {
      const uint32_t reply_size = kSizes[std::size(kSizes) - 1] - size;
      const Request request = MakeRequest(100 + size, size, {reply_size});
      const absl::StatusOr<Reply> reply = CallUnary(form, stub, request);
      ASSERT_OK(reply);
      EXPECT_OK(CheckReply(request, *reply, 0, reply_size));
      EXPECT_EQ(reply->body_bytes_received(), size);
    }
  });
}

TEST_P(ShapesTest, UploadOfNoneOneAndMany) {
  ForEachForm([](ClientForm form, const Conformance::Stub& stub) {
    const std::vector<uint32_t> all(std::begin(kSizes), std::end(kSizes));
    for (const std::vector<uint32_t>& sizes : {{}, std::vector<uint32_t>{33}, all}) {
      const std::vector<Request> requests = MakeRequests(5, sizes, {77});
      const absl::StatusOr<Reply> reply = CallUpload(form, stub, requests);
      ASSERT_OK(reply);
      EXPECT_EQ(reply->requests_received(), sizes.size());
      EXPECT_EQ(reply->body_bytes_received(), std::accumulate(sizes.begin(), sizes.end(), 0u));
      if (!requests.empty()) {
        EXPECT_OK(CheckReply(requests[0], *reply, 0, 77));
      }
    }
  });
}

TEST_P(ShapesTest, DownloadOfNoneOneAndMany) {
  ForEachForm([](ClientForm form, const Conformance::Stub& stub) {
    const std::vector<uint32_t> all(std::begin(kSizes), std::end(kSizes));
    for (const std::vector<uint32_t>& sizes : {{}, std::vector<uint32_t>{0}, all}) {
      const Request request = MakeRequest(6, 10, sizes);
      const Conversation conversation = CallDownload(form, stub, request);
      EXPECT_OK(conversation.status);
      ExpectReplies(request, sizes, conversation.replies);
    }
  });
}

TEST_P(ShapesTest, PingPongOfEverySize) {
  ForEachForm([](ClientForm form, const Conformance::Stub& stub) {
    std::vector<Request> requests;
    std::vector<uint32_t> reply_sizes;
    for (uint32_t size : kSizes) {
      // None, one and two replies to a request.
      std::vector<uint32_t> sizes(requests.size() % 3, size);
      requests.push_back(MakeRequest(7, size, sizes, requests.size()));
      reply_sizes.insert(reply_sizes.end(), sizes.begin(), sizes.end());
    }
    const Conversation conversation = CallPingPong(form, stub, requests);
    EXPECT_OK(conversation.status);
    EXPECT_EQ(conversation.writes_taken, requests.size());
    ExpectReplies(requests[0], reply_sizes, conversation.replies);
  });
}

TEST_P(ShapesTest, ChatWithoutMessages) {
  ForEachForm([](ClientForm form, const Conformance::Stub& stub) {
    const Conversation conversation = CallPingPong(form, stub, {});
    EXPECT_OK(conversation.status);
    EXPECT_TRUE(conversation.replies.empty());
  });
}

TEST_P(ShapesTest, ServerGoesOnAfterHalfClose) {
  for (ServerForm form : kServerForms) {
    SCOPED_TRACE(ServerFormName(form));
    NewWorld({.form = form});
    const Conformance::Stub stub(world().channel());
    auto stream = stub.Chat();
    // The replies are more than any window holds: most are written after the client has closed its
    // side.
    const std::vector<uint32_t> sizes(100, 10000);
    const Request request = MakeRequest(8, 1, sizes);
    ASSERT_TRUE(stream.Write(request));
    stream.WritesDone();
    std::vector<Reply> replies;
    Reply reply;
    while (stream.Read(&reply)) replies.push_back(reply);
    EXPECT_OK(stream.Finish());
    ExpectReplies(request, sizes, replies);
  }
}

TEST_P(ShapesTest, OneThreadReadsWhileAnotherWrites) {
  for (ServerForm form : kServerForms) {
    SCOPED_TRACE(ServerFormName(form));
    NewWorld({.form = form});
    const Conformance::Stub stub(world().channel());
    auto stream = stub.Chat();
    constexpr uint32_t kMessages = 300;
    std::thread writer([&stream] {
      for (uint32_t i = 0; i < kMessages; ++i) {
        const uint32_t size = i * 37 % 3000;
        if (!stream.Write(MakeRequest(9, size, {size}, i))) return;
      }
      stream.WritesDone();
    });
    const Request about = MakeRequest(9, 0);
    Reply reply;
    uint32_t read = 0;
    for (; stream.Read(&reply); ++read) {
      EXPECT_OK(CheckReply(about, reply, read, read * 37 % 3000));
    }
    writer.join();
    EXPECT_EQ(read, kMessages);
    EXPECT_OK(stream.Finish());
  }
}

TEST_P(ShapesTest, ManySmallMessagesKeepTheirOrder) {
  ForEachForm([](ClientForm form, const Conformance::Stub& stub) {
    const Request request = MakeRequest(10, 0, std::vector<uint32_t>(500, 16));
    const Conversation download = CallDownload(form, stub, request);
    EXPECT_OK(download.status);
    ExpectReplies(request, std::vector<uint32_t>(500, 16), download.replies);
    const absl::StatusOr<Reply> reply =
        CallUpload(form, stub, MakeRequests(10, std::vector<uint32_t>(500, 16)));
    ASSERT_OK(reply);  // the handler checks the order
    EXPECT_EQ(reply->requests_received(), 500u);
  });
}

// The server ends a call while the client still has much to say.
TEST_P(ShapesTest, ServerEndsUploadEarly) {
  ForEachForm([this](ClientForm form, const Conformance::Stub& stub) {
    std::vector<Request> requests = MakeRequests(11, std::vector<uint32_t>(100, 10000));
    requests[1].mutable_status()->set_code(static_cast<int>(absl::StatusCode::kOutOfRange));
    requests[1].mutable_status()->set_message("that will do");
    EXPECT_THAT(CallUpload(form, stub, requests),
                StatusIs(absl::StatusCode::kOutOfRange, std::string("that will do")));
    ExpectAlive();
  });
}

TEST_P(ShapesTest, ServerAcceptsUploadEarly) {
  ForEachForm([this](ClientForm form, const Conformance::Stub& stub) {
    std::vector<Request> requests = MakeRequests(12, std::vector<uint32_t>(100, 10000));
    requests[1].mutable_status()->set_code(0);
    EXPECT_OK(CallUpload(form, stub, requests));
    ExpectAlive();
  });
}

TEST_P(ShapesTest, ServerEndsChatEarly) {
  ForEachForm([this](ClientForm form, const Conformance::Stub& stub) {
    std::vector<Request> requests = MakeRequests(13, std::vector<uint32_t>(100, 10000), {1});
    requests[2].mutable_status()->set_code(static_cast<int>(absl::StatusCode::kAborted));
    const Conversation conversation = CallPingPong(form, stub, requests);
    EXPECT_THAT(conversation.status, StatusIs(absl::StatusCode::kAborted));
    EXPECT_EQ(conversation.replies.size(), 3u);
    ExpectAlive();
  });
}

// A stream that fails first gives all messages that were sent before its status.
TEST_P(ShapesTest, MessagesComeBeforeTheStatus) {
  ForEachForm([](ClientForm form, const Conformance::Stub& stub) {
    const std::vector<uint32_t> sizes(20, 3000);
    Request request = MakeRequest(14, 0, sizes);
    request.mutable_status()->set_code(static_cast<int>(absl::StatusCode::kDataLoss));
    const Conversation conversation = CallDownload(form, stub, request);
    EXPECT_THAT(conversation.status, StatusIs(absl::StatusCode::kDataLoss));
    ExpectReplies(request, sizes, conversation.replies);
  });
}

TEST_P(ShapesTest, FinishDropsWhatWasNotRead) {
  ForEachForm([this](ClientForm, const Conformance::Stub& stub) {
    auto reader = stub.Download(MakeRequest(15, 0, std::vector<uint32_t>(50, 10000)));
    Reply reply;
    ASSERT_TRUE(reader.Read(&reply));
    EXPECT_OK(reader.Finish());
    ExpectAlive();
  });
}

TEST_P(ShapesTest, ReadsAndWritesAfterTheEndSayNo) {
  const Conformance::Stub stub(world().channel());
  auto stream = stub.Chat();
  Request request = MakeRequest(16, 0);
  request.mutable_status()->set_code(static_cast<int>(absl::StatusCode::kNotFound));
  ASSERT_TRUE(stream.Write(request));
  Reply reply;
  EXPECT_FALSE(stream.Read(&reply));
  EXPECT_FALSE(stream.Read(&reply));
  EXPECT_FALSE(stream.Write(request));
  EXPECT_FALSE(stream.Write(request));
  stream.WritesDone();
  EXPECT_THAT(stream.Finish(), StatusIs(absl::StatusCode::kNotFound));
}

// The handicaps must bite, or the runs with them show nothing.
TEST_P(ShapesTest, HandicapBites) {
  const Handicap& handicap = GetParam().handicap;
  const uint64_t shortened = ShortIo::shortened();
  ExpectAlive();
  EXPECT_GT(world().faults().frames(), 0u);
  std::atomic<size_t> max_frame_size = 0;
  probe().OnStart([&max_frame_size](ServerContext& context) {
    max_frame_size = context.peer().max_frame_size;
  });
  ExpectAlive();
  if (handicap.faults.max_frame_size != 0) {
    EXPECT_EQ(max_frame_size, handicap.faults.max_frame_size);
  }
  if (handicap.io_piece == 1) {
    EXPECT_GT(ShortIo::shortened() - shortened, 50u)
        << GetParam().scheme << " belongs in RpcSuiteOptions::schemes_without_streams if it uses "
        << "none; if it does, by calls that tests/support/short_io.h does not cut";
  }
  if (handicap.path.has_value()) {
    for (const Towards towards : {Towards::kServer, Towards::kClient}) {
      // Both the relay and the transport have to do with it, until each of these has happened.
      for (const uint64_t PathCounts::*const what :
           {&PathCounts::lost, &PathCounts::reordered, &PathCounts::duplicated,
            &PathCounts::corrupted}) {
        while (world().relays().counts(towards).*what == 0) ExpectAlive();
      }
    }
  }
}

}  // namespace
}  // namespace anywire::test
