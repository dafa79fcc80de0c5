// Metadata, both ways, in every form: every legal byte arrives, nothing illegal leaves.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/conformance/forms_test_base.h"

namespace anywire::test {
namespace {

using ::testing::HasSubstr;

class MetadataTest : public FormsTest {
 protected:
  // One call of each shape with `metadata`, in which the handler gives back what it is asked to.
  template <typename Check>
  void InEveryShape(const Metadata& metadata, Check check) {
    ForEachForm([&metadata, &check](ClientForm form, const Conformance::Stub& stub) {
      ReceivedMetadata received;
      const CallOptions options = {.metadata = &metadata, .received = &received};
      EXPECT_OK(CallUnary(form, stub, MakeRequest(1, 1, {1}), options));
      check("unary", received);
      received = {};
      EXPECT_OK(CallUpload(form, stub, {MakeRequest(2, 1, {1})}, options));
      check("upload", received);
      received = {};
      EXPECT_OK(CallDownload(form, stub, MakeRequest(3, 1, {1, 1}), options).status);
      check("download", received);
      received = {};
      EXPECT_OK(CallDownload(form, stub, MakeRequest(3, 1), options).status);
      check("download of nothing", received);
      received = {};
      EXPECT_OK(CallPingPong(form, stub, {MakeRequest(4, 1, {1})}, options).status);
      check("chat", received);
      received = {};
      Request failing = MakeRequest(5, 1);
      failing.mutable_status()->set_code(static_cast<int>(absl::StatusCode::kNotFound));
      EXPECT_THAT(CallUnary(form, stub, failing, options), StatusIs(absl::StatusCode::kNotFound));
      check("failing unary", received);
    });
  }
};
ANYWIRE_CONFORMANCE(MetadataTest, AllSettings());

std::vector<Metadata::Entry> Entries(const Metadata& metadata) {
  return std::vector<Metadata::Entry>(metadata.begin(), metadata.end());
}

std::string Bytes(int first, int last) {
  std::string bytes;
  for (int byte = first; byte <= last; ++byte) bytes.push_back(static_cast<char>(byte));
  return bytes;
}

TEST_P(MetadataTest, EveryLegalByteOfAValue) {
  const std::string ascii = absl::StrCat("x", Bytes(0x20, 0x7e), "x");
  const std::string binary = Bytes(0, 255);
  const Metadata metadata = {{"echo-initial", ascii},
                             {"echo-initial-bin", binary},
                             {"echo-trailing", ascii},
                             {"echo-trailing-bin", binary}};
  InEveryShape(metadata, [&ascii, &binary](const char* shape, const ReceivedMetadata& received) {
    SCOPED_TRACE(shape);
    EXPECT_EQ(Entries(received.initial),
              Entries({{"echo-initial", ascii}, {"echo-initial-bin", binary}}));
    EXPECT_EQ(Entries(received.trailing),
              Entries({{"echo-trailing", ascii}, {"echo-trailing-bin", binary}}));
    EXPECT_NE(received.peer, "");
  });
}

TEST_P(MetadataTest, EveryLegalByteOfAKeyAndItsLongest) {
  const std::string all = "echo-initial0123456789abcdefghijklmnopqrstuvwxyz_-.";
  const std::string longest = absl::StrCat("echo-trailing", std::string(256 - 13, 'k'));
  const Metadata metadata = {{all, "1"}, {longest, "2"}};
  InEveryShape(metadata, [&all, &longest](const char* shape, const ReceivedMetadata& received) {
    SCOPED_TRACE(shape);
    EXPECT_EQ(received.initial.Get(all), "1");
    EXPECT_EQ(received.trailing.Get(longest), "2");
  });
}

TEST_P(MetadataTest, RepeatedKeysAndEmptyValuesKeepTheirOrder) {
  const std::vector<Metadata::Entry> entries = {{"echo-initial", "b"},    {"echo-initial-x", ""},
                                                {"echo-initial", "a"},    {"echo-initial", ""},
                                                {"echo-initial-bin", ""}, {"echo-initial", "b"}};
  Metadata metadata;
  for (const auto& [key, value] : entries) metadata.Add(key, value);
  InEveryShape(metadata, [&entries](const char* shape, const ReceivedMetadata& received) {
    SCOPED_TRACE(shape);
    EXPECT_EQ(Entries(received.initial), entries);
    EXPECT_TRUE(received.trailing.empty());
  });
}

TEST_P(MetadataTest, HandlerSeesWhatTheClientSent) {
  const Metadata metadata = {{"one", "1"}, {"two-bin", std::string("\0\xff", 2)}, {"one", "uno"}};
  for (ServerForm form : kServerForms) {
    SCOPED_TRACE(ServerFormName(form));
    std::vector<Metadata::Entry> seen;
    NewWorld({.form = form});
    probe().OnStart([&seen](ServerContext& context) { seen = Entries(context.client_metadata()); });
    const Conformance::Stub stub(world().channel());
    EXPECT_OK(stub.Empty(Nothing(), {.metadata = &metadata}));
    probe().started.WaitFor(1);
    EXPECT_EQ(seen, Entries(metadata));
  }
}

// The key is named, the rule is said, and nothing was sent.
TEST_P(MetadataTest, IllegalMetadataIsRefusedBeforeItLeaves) {
  struct Illegal {
    std::string key;
    std::string value;
  };
  const std::vector<Illegal> all = {{"", "empty key"},
                                    {"Upper", "v"},
                                    {"sp ace", "v"},
                                    {"colon:", "v"},
                                    {"\xc3\xa4", "v"},
                                    {"grpc-timeout", "1S"},
                                    {"anywire-x", "v"},
                                    {std::string(257, 'k'), "v"},
                                    {"control", "a\nb"},
                                    {"control", "\x1f"},
                                    {"del", "\x7f"},
                                    {"high", "\xff"},
                                    {"zero", std::string(1, '\0')}};
  ForEachForm([this, &all](ClientForm form, const Conformance::Stub& stub) {
    for (const Illegal& illegal : all) {
      SCOPED_TRACE(illegal.key);
      const Metadata metadata = {{"fine", "v"}, {illegal.key, illegal.value}};
      const absl::Status unary = CallEmpty(form, stub, {.metadata = &metadata}).status();
      EXPECT_THAT(unary, StatusIs(absl::StatusCode::kInvalidArgument));
      EXPECT_THAT(unary, Delivered(Delivery::kNotSent));
      const absl::Status rule = Metadata::CheckEntry(illegal.key, illegal.value);
      EXPECT_THAT(std::string(unary.message()), HasSubstr(std::string(rule.message())));
      const absl::Status stream = CallPingPong(form, stub, {}, {.metadata = &metadata}).status;
      EXPECT_THAT(stream, StatusIs(absl::StatusCode::kInvalidArgument));
      EXPECT_THAT(stream, Delivered(Delivery::kNotSent));
    }
    ExpectAlive();
  });
  EXPECT_EQ(probe().started.value(), 3u);  // the calls that ExpectAlive makes
}

// A handler's mistake is an internal error of the server, and of that call alone.
TEST_P(MetadataTest, IllegalMetadataOfAHandlerEndsItsCallAlone) {
  for (ServerForm form : kServerForms) {
    SCOPED_TRACE(ServerFormName(form));
    for (const bool trailing : {false, true}) {
      SCOPED_TRACE(trailing ? "trailing" : "initial");
      NewWorld({.form = form});
      std::atomic<bool> illegal = true;
      probe().OnStart([&illegal, trailing](ServerContext& context) {
        if (!illegal) return;
        if (trailing) {
          context.AddTrailingMetadata("Upper", "v");
        } else {
          context.AddInitialMetadata("Upper", "v");
        }
      });
      const Conformance::Stub stub(world().channel());
      EXPECT_THAT(stub.Unary(MakeRequest(1, 1)), StatusIs(absl::StatusCode::kInternal));
      illegal = false;
      ExpectAlive();
    }
  }
}

TEST_P(MetadataTest, InitialMetadataMayComeBeforeTheFirstMessage) {
  for (ServerForm form : kServerForms) {
    SCOPED_TRACE(ServerFormName(form));
    absl::Status first;
    absl::Status second;
    NewWorld({.form = form});
    probe().OnStart([&first, &second](ServerContext& context) {
      context.AddInitialMetadata("early", "bird");
      first = context.SendInitialMetadata();
      second = context.SendInitialMetadata();
    });
    const Conformance::Stub stub(world().channel());
    auto stream = stub.Chat();
    ASSERT_TRUE(stream.Write(MakeRequest(1, 1, {1})));
    Reply reply;
    ASSERT_TRUE(stream.Read(&reply));
    EXPECT_EQ(stream.initial_metadata().Get("early"), "bird");
    stream.WritesDone();
    EXPECT_OK(stream.Finish());
    probe().started.WaitFor(1);
    EXPECT_OK(first);
    EXPECT_THAT(second, StatusIs(absl::StatusCode::kFailedPrecondition));
  }
}

}  // namespace
}  // namespace anywire::test
