// Statuses: every code, any text, binary details, handlers that throw.
#include <string>
#include <vector>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "tests/conformance/forms_test_base.h"

namespace anywire::test {
namespace {

using ::testing::HasSubstr;

class StatusTest : public FormsTest {
 protected:
  // The status that each shape of call ends with when its handler returns `spec`.
  static std::vector<absl::Status> InEveryShape(ClientForm form, const Conformance::Stub& stub,
                                                const conformance::StatusSpec& spec) {
    Request request = MakeRequest(1, 10);
    *request.mutable_status() = spec;
    return {CallUnary(form, stub, request).status(), CallUpload(form, stub, {request}).status(),
            CallDownload(form, stub, request).status, CallPingPong(form, stub, {request}).status};
  }
};
ANYWIRE_CONFORMANCE(StatusTest, AllSettings());

conformance::StatusSpec Spec(int code, const std::string& message) {
  conformance::StatusSpec spec;
  spec.set_code(code);
  spec.set_message(message);
  return spec;
}

TEST_P(StatusTest, EveryCode) {
  ForEachForm([](ClientForm form, const Conformance::Stub& stub) {
    for (int code = 0; code <= 16; ++code) {
      const std::string message = code == 0 ? "" : absl::StrCat("code ", code);
      for (const absl::Status& status : InEveryShape(form, stub, Spec(code, message))) {
        EXPECT_EQ(status.raw_code(), code);
        EXPECT_EQ(status.message(), message);
        // What a handler returned says nothing of delivery.
        EXPECT_THAT(status, Delivered(Delivery::kUnknown));
      }
    }
  });
}

TEST_P(StatusTest, CodesThatDoNotExistAreUnknown) {
  ForEachForm([](ClientForm form, const Conformance::Stub& stub) {
    for (int code : {17, 255, 100000, -1}) {
      for (const absl::Status& status : InEveryShape(form, stub, Spec(code, "odd"))) {
        EXPECT_THAT(status, StatusIs(absl::StatusCode::kUnknown, std::string("odd"))) << code;
      }
    }
  });
}

TEST_P(StatusTest, AnyTextIsAMessage) {
  std::string control;
  for (int byte = 0; byte < 0x20; ++byte) control.push_back(static_cast<char>(byte));
  const std::string messages[] = {
      "",
      absl::StrCat(control, "\x7f"),
      "\xf0\x9f\x98\x88 \xe2\x98\xba \xc3\xa9 \xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x9a\x80",
      "100% \"quoted\" \\ and %20 %zz",
      std::string(3000, 'm'),
  };
  ForEachForm([&messages](ClientForm form, const Conformance::Stub& stub) {
    for (const std::string& message : messages) {
      for (const absl::Status& status : InEveryShape(form, stub, Spec(9, message))) {
        EXPECT_THAT(status, StatusIs(absl::StatusCode::kFailedPrecondition, message));
      }
    }
  });
}

TEST_P(StatusTest, BinaryDetails) {
  std::string bytes;
  for (int byte = 0; byte < 256; ++byte) bytes.push_back(static_cast<char>(byte));
  conformance::StatusSpec spec = Spec(5, "with details");
  (*spec.mutable_details())["type.googleapis.com/one"] = bytes;
  (*spec.mutable_details())["type.googleapis.com/two"] = "";
  ForEachForm([&spec, &bytes](ClientForm form, const Conformance::Stub& stub) {
    for (const absl::Status& status : InEveryShape(form, stub, spec)) {
      EXPECT_THAT(status, StatusIs(absl::StatusCode::kNotFound, std::string("with details")));
      EXPECT_EQ(status.GetPayload("type.googleapis.com/one"), absl::Cord(bytes));
      EXPECT_EQ(status.GetPayload("type.googleapis.com/two"), absl::Cord());
    }
  });
}

// However long the text is, the call ends with the code, and the connection lives.
TEST_P(StatusTest, HugeTextKeepsTheCode) {
  ForEachForm([this](ClientForm form, const Conformance::Stub& stub) {
    Request request = MakeRequest(1, 10);
    *request.mutable_status() = Spec(10, std::string(50000, 'm'));
    EXPECT_THAT(CallUnary(form, stub, request), StatusIs(absl::StatusCode::kAborted));
    ExpectAlive();
  });
}

TEST_P(StatusTest, ThrowingHandlersAreInternalErrors) {
  ForEachForm([this](ClientForm form, const Conformance::Stub& stub) {
    Request request = MakeRequest(1, 10, {5});
    request.set_throw_exception(true);
    const absl::Status statuses[] = {
        CallUnary(form, stub, request).status(), CallUpload(form, stub, {request}).status(),
        CallDownload(form, stub, request).status, CallPingPong(form, stub, {request}).status};
    for (const absl::Status& status : statuses) {
      EXPECT_THAT(status, StatusIs(absl::StatusCode::kInternal));
    }
    ExpectAlive();
  });
}

// Other calls of the connection do not notice.
TEST_P(StatusTest, ThrowingHandlerLeavesOthersAlone) {
  for (ServerForm form : kServerForms) {
    SCOPED_TRACE(ServerFormName(form));
    NewWorld({.form = form});
    const Conformance::Stub stub(world().channel());
    auto stream = stub.Chat();
    Reply reply;
    ASSERT_TRUE(stream.Write(MakeRequest(2, 10, {100}, 0)));
    ASSERT_TRUE(stream.Read(&reply));
    Request request = MakeRequest(1, 10);
    request.set_throw_exception(true);
    EXPECT_THAT(stub.Unary(request), StatusIs(absl::StatusCode::kInternal));
    ASSERT_TRUE(stream.Write(MakeRequest(2, 10, {100}, 1)));
    ASSERT_TRUE(stream.Read(&reply));
    EXPECT_OK(CheckReply(MakeRequest(2, 0), reply, 1, 100));
    stream.WritesDone();
    EXPECT_OK(stream.Finish());
  }
}

// A request that is no message of its type fails as such, and the connection lives.
TEST_P(StatusTest, UnparsableRequestIsRefused) {
  static constinit Method method("anywire.conformance.Conformance/Unary", CallShape::kUnary);
  for (ServerForm form : kServerForms) {
    SCOPED_TRACE(ServerFormName(form));
    NewWorld({.form = form});
    conformance::Malformed malformed;
    malformed.set_endless_numbers(std::string(11, '\xff'));
    Reply reply;
    EXPECT_THAT(world().channel().Call(method, malformed, &reply, CallOptions()),
                StatusIs(absl::StatusCode::kInternal, HasSubstr("parse")));
    EXPECT_EQ(probe().started.value(), 0u);
    ExpectAlive();
  }
}

}  // namespace
}  // namespace anywire::test
