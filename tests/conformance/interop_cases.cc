// The behaviours that gRPC's published interop cases describe (doc/interop-test-descriptions.md in
// grpc/grpc), by their names.
#include <string>
#include <vector>

#include "tests/conformance/forms_test_base.h"

namespace anywire::test {
namespace {

using ::testing::HasSubstr;

class InteropTest : public FormsTest {
 protected:
  WorldOptions Options() const { return {.largest_message = 400000}; }
};
ANYWIRE_CONFORMANCE(InteropTest, AllSettings());

constexpr uint32_t kLargeRequest = 271828;
constexpr uint32_t kLargeReply = 314159;

TEST_P(InteropTest, empty_unary) {
  ForEachForm(
      [](ClientForm form, const Conformance::Stub& stub) { EXPECT_OK(CallEmpty(form, stub)); });
}

TEST_P(InteropTest, large_unary) {
  ForEachForm(
      [](ClientForm form, const Conformance::Stub& stub) {
        const Request request = MakeRequest(1, kLargeRequest, {kLargeReply});
        const absl::StatusOr<Reply> reply = CallUnary(form, stub, request);
        ASSERT_OK(reply);
        EXPECT_EQ(reply->body_bytes_received(), kLargeRequest);
        EXPECT_OK(CheckReply(request, *reply, 0, kLargeReply));
      },
      Options());
}

TEST_P(InteropTest, client_streaming) {
  ForEachForm([](ClientForm form, const Conformance::Stub& stub) {
    std::vector<Request> requests;
    for (uint32_t size : {27182, 8, 1828, 45904}) {
      requests.push_back(MakeRequest(2, size, {}, requests.size()));
    }
    const absl::StatusOr<Reply> reply = CallUpload(form, stub, requests);
    ASSERT_OK(reply);
    EXPECT_EQ(reply->body_bytes_received(), 74922u);
  });
}

TEST_P(InteropTest, server_streaming) {
  ForEachForm([](ClientForm form, const Conformance::Stub& stub) {
    const std::vector<uint32_t> sizes = {31415, 9, 2653, 58979};
    const Request request = MakeRequest(3, 0, sizes);
    const Conversation conversation = CallDownload(form, stub, request);
    EXPECT_OK(conversation.status);
    ASSERT_EQ(conversation.replies.size(), sizes.size());
    for (size_t i = 0; i < sizes.size(); ++i) {
      EXPECT_OK(CheckReply(request, conversation.replies[i], i, sizes[i]));
    }
  });
}

TEST_P(InteropTest, ping_pong) {
  ForEachForm([](ClientForm form, const Conformance::Stub& stub) {
    const std::vector<uint32_t> request_sizes = {27182, 8, 1828, 45904};
    const std::vector<uint32_t> reply_sizes = {31415, 9, 2653, 58979};
    std::vector<Request> requests;
    for (size_t i = 0; i < 4; ++i) {
      requests.push_back(MakeRequest(4, request_sizes[i], {reply_sizes[i]}, i));
    }
    const Conversation conversation = CallPingPong(form, stub, requests);
    EXPECT_OK(conversation.status);
    ASSERT_EQ(conversation.replies.size(), 4u);
    for (size_t i = 0; i < 4; ++i) {
      EXPECT_OK(CheckReply(requests[i], conversation.replies[i], i, reply_sizes[i]));
    }
  });
}

TEST_P(InteropTest, empty_stream) {
  ForEachForm([](ClientForm form, const Conformance::Stub& stub) {
    const Conversation conversation = CallPingPong(form, stub, {});
    EXPECT_OK(conversation.status);
    EXPECT_TRUE(conversation.replies.empty());
  });
}

TEST_P(InteropTest, custom_metadata) {
  ForEachForm(
      [](ClientForm form, const Conformance::Stub& stub) {
        const std::string binary("\xab\xab\xab", 3);
        for (bool streaming : {false, true}) {
          ReceivedMetadata received;
          const Metadata metadata = {{"echo-initial", "test_initial_metadata_value"},
                                     {"echo-trailing-bin", binary}};
          const CallOptions options = {.metadata = &metadata, .received = &received};
          if (streaming) {
            const Conversation conversation =
                CallPingPong(form, stub, {MakeRequest(5, kLargeRequest, {kLargeReply})}, options);
            EXPECT_OK(conversation.status);
          } else {
            EXPECT_OK(CallUnary(form, stub, MakeRequest(5, kLargeRequest, {kLargeReply}), options));
          }
          EXPECT_EQ(received.initial.Get("echo-initial"), "test_initial_metadata_value");
          EXPECT_EQ(received.trailing.Get("echo-trailing-bin"), binary);
        }
      },
      Options());
}

void ExpectStatusReturned(ClientForm form, const Conformance::Stub& stub,
                          const std::string& message) {
  Request request = MakeRequest(6, 0);
  request.mutable_status()->set_code(2);
  request.mutable_status()->set_message(message);
  EXPECT_THAT(CallUnary(form, stub, request), StatusIs(absl::StatusCode::kUnknown, message));
  EXPECT_THAT(CallPingPong(form, stub, {request}).status,
              StatusIs(absl::StatusCode::kUnknown, message));
}

TEST_P(InteropTest, status_code_and_message) {
  ForEachForm([](ClientForm form, const Conformance::Stub& stub) {
    ExpectStatusReturned(form, stub, "test status message");
  });
}

TEST_P(InteropTest, special_status_message) {
  ForEachForm([](ClientForm form, const Conformance::Stub& stub) {
    ExpectStatusReturned(form, stub,
                         "\t\ntest with whitespace\r\nand Unicode BMP \xE2\x98\xBA and non-BMP "
                         "\xF0\x9F\x98\x88\t\n");
  });
}

TEST_P(InteropTest, unimplemented_method) {
  ForEachForm([this](ClientForm, const Conformance::Stub&) {
    static constinit Method method("anywire.conformance.Conformance/Unimplemented",
                                   CallShape::kUnary);
    Nothing reply;
    EXPECT_THAT(world().channel().Call(method, Nothing(), &reply, CallOptions()),
                StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("unknown method")));
    ExpectAlive();
  });
}

TEST_P(InteropTest, unimplemented_service) {
  ForEachForm([this](ClientForm, const Conformance::Stub&) {
    const conformance::Absent::Stub absent(world().channel());
    const absl::StatusOr<Nothing> reply = absent.Empty(Nothing());
    EXPECT_THAT(reply, StatusIs(absl::StatusCode::kUnimplemented, HasSubstr("unknown method")));
    EXPECT_THAT(reply, Delivered(Delivery::kNotProcessed));
    ExpectAlive();
  });
}

TEST_P(InteropTest, cancel_after_begin) {
  ForEachForm([](ClientForm form, const Conformance::Stub& stub) {
    if (form == ClientForm::kBlocking) {
      auto writer = stub.Upload();
      writer.Cancel();
      EXPECT_THAT(writer.Finish(), StatusIs(absl::StatusCode::kCancelled));
      return;
    }
    CancellationSource source;
    source.Cancel();
    const CancellationToken token = source.token();
    EXPECT_THAT(CallUpload(form, stub, {}, {.cancellation = &token}),
                StatusIs(absl::StatusCode::kCancelled));
  });
}

TEST_P(InteropTest, cancel_after_first_response) {
  ForEachForm([](ClientForm, const Conformance::Stub& stub) {
    auto stream = stub.Chat();
    ASSERT_TRUE(stream.Write(MakeRequest(7, 27182, {31415})));
    Reply reply;
    ASSERT_TRUE(stream.Read(&reply));
    stream.Cancel();
    EXPECT_FALSE(stream.Read(&reply));
    EXPECT_THAT(stream.Finish(), StatusIs(absl::StatusCode::kCancelled));
  });
}

TEST_P(InteropTest, timeout_on_sleeping_server) {
  ForEachForm([](ClientForm form, const Conformance::Stub& stub) {
    Request request = MakeRequest(8, 27182);
    request.set_hold(Request::CANCELLATION);
    EXPECT_THAT(CallPingPong(form, stub, {request}, {.timeout = absl::Milliseconds(1)}).status,
                StatusIs(absl::StatusCode::kDeadlineExceeded));
  });
}

}  // namespace
}  // namespace anywire::test
