// What waits in memory: unread messages in a server's process and unsent ones on a connection, at
// the limit, one byte below and one above.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/conformance/forms_test_base.h"

namespace anywire::test {
namespace {

using ::testing::HasSubstr;

// Not with handicaps, which make messages wait that would not.
class BuffersTest : public FormsTest {};
ANYWIRE_CONFORMANCE(BuffersTest, PlainSettings());

// An upload whose handler reads one message and no more until it is released. Returns when so many
// bytes have come after that one, as two messages.
ClientWriter<Request, Reply> UploadUnread(const Conformance::Stub& stub, Probe& probe,
                                          size_t bytes) {
  const uint64_t received = probe.received.value();
  auto writer = stub.Upload();
  Request read = MakeRequest(1, 0);
  read.set_hold(Request::RELEASE);
  EXPECT_TRUE(writer.Write(read));
  probe.received.WaitFor(received + 1);
  for (const uint32_t index : {1, 2}) {
    Request unread = MakeRequest(1, 0, {}, index);
    PadTo(unread, index == 1 ? bytes / 2 : bytes - bytes / 2);
    writer.Write(unread);
  }
  EXPECT_OK(stub.Empty(Nothing()));  // arrives behind them
  return writer;
}

TEST_P(BuffersTest, UnreadMessagesOfTheProcess) {
  constexpr size_t kLimit = 1 << 20;
  for (const ServerForm form : kServerForms) {
    for (const size_t below : {1, 0}) {
      SCOPED_TRACE(absl::StrCat(ServerFormName(form), ", ", below, " below"));
      NewWorld({.form = form,
                .server_limits = {{"call_window", "\"4MiB\""}},
                .runtime = {{"process_buffer", "\"1MiB\""}}});
      const Conformance::Stub stub(world().channel());
      EXPECT_THAT(UploadUnread(stub, probe(), kLimit + 1).Finish(),
                  StatusIs(absl::StatusCode::kResourceExhausted));
      // It has left room for all of this.
      auto kept = UploadUnread(stub, probe(), kLimit - below);
      probe().release.Open();
      const absl::StatusOr<Reply> reply = kept.Finish();
      ASSERT_OK(reply);
      EXPECT_EQ(reply->requests_received(), 3u);
    }
  }
}

// The body that makes reply `index` of a call so many bytes on the wire.
uint32_t BodyOfReply(uint32_t index, size_t size) {
  Reply reply;
  reply.set_call(1);
  reply.set_index(index);
  reply.set_requests_received(1);
  size_t body = size - 20;
  do {
    reply.set_body(std::string(++body, 'b'));
  } while (reply.ByteSizeLong() < size);
  EXPECT_EQ(reply.ByteSizeLong(), size);
  return body;
}

// Three downloads whose client lets three replies of each come and reads none: the fourth waits.
TEST_P(BuffersTest, UnsentMessagesOfAConnection) {
  constexpr size_t kSize = 10000;
  constexpr int kReplies = 4;
  constexpr size_t kLimit = 25000;
  for (const size_t last : {5999, 6000, 6001}) {
    SCOPED_TRACE(last);
    NewWorld({.server_limits = {{"max_send_message_size", absl::StrCat("\"", kSize, "B\"")},
                                {"max_queued_bytes", absl::StrCat("\"", kLimit, "B\"")}},
              .client_limits = {{"call_window", "\"32KiB\""}}});
    const Conformance::Stub stub(world().channel());
    ASSERT_OK(stub.Empty(Nothing()));
    std::vector<ClientReader<Reply>> readers;
    for (const size_t waiting : {kSize, kLimit - kSize - 6000, last}) {
      Request request = MakeRequest(1, 0);
      for (int i = 0; i < kReplies - 1; ++i) request.add_reply_sizes(BodyOfReply(i, kSize));
      request.add_reply_sizes(BodyOfReply(kReplies - 1, waiting));
      readers.push_back(stub.Download(request));
      probe().written.WaitFor(readers.size() * (kReplies - 1));
      ASSERT_OK(stub.Empty(Nothing()));  // its handler has come to the reply that waits
    }
    const auto read_all = [](ClientReader<Reply>& reader) {
      Reply reply;
      int read = 0;
      while (reader.Read(&reply)) ++read;
      return read;
    };
    if (last <= 6000) {
      EXPECT_EQ(read_all(readers[2]), kReplies);
      EXPECT_OK(readers[2].Finish());
    } else {
      EXPECT_THAT(readers[2].Finish(), StatusIs(absl::StatusCode::kResourceExhausted,
                                                HasSubstr("limits.max_queued_bytes")));
    }
    for (int i = 0; i < 2; ++i) {  // they only wait
      EXPECT_EQ(read_all(readers[i]), kReplies);
      EXPECT_OK(readers[i].Finish());
    }
    ExpectAlive();
  }
}

}  // namespace
}  // namespace anywire::test
