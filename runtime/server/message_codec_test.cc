#include "runtime/server/message_codec.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "google/protobuf/descriptor.pb.h"
#include "google/protobuf/wrappers.pb.h"
#include "gtest/gtest.h"

namespace anywire {
namespace {

using google::protobuf::StringValue;
using google::protobuf::UninterpretedOption;

absl::Span<const uint8_t> BytesOf(const std::string& text) {
  return absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(text.data()), text.size());
}

TEST(MessageCodecTest, WhatIsWrittenIsParsedAgain) {
  StringValue reply;
  reply.set_value("a value");
  protocol::Payload payload;
  ASSERT_TRUE(MakePayload(reply, payload).ok());
  std::vector<uint8_t> bytes(payload.size);
  payload.write(payload.object, bytes.data(), bytes.size());
  StringValue request;
  request.set_value("something that was there before");
  ASSERT_TRUE(ParseRequest(bytes, request).ok());
  EXPECT_EQ(request.value(), "a value");
}

TEST(MessageCodecTest, AnEmptyMessageHasNoBytes) {
  protocol::Payload payload;
  const StringValue reply;
  ASSERT_TRUE(MakePayload(reply, payload).ok());
  EXPECT_EQ(payload.size, 0u);
  payload.write(payload.object, nullptr, 0);
  StringValue request;
  EXPECT_TRUE(ParseRequest({}, request).ok());
}

TEST(MessageCodecTest, BytesThatAreNoMessageAreAnError) {
  StringValue request;
  EXPECT_EQ(ParseRequest(BytesOf("\x0a\x7f short"), request),
            absl::InternalError("could not parse a request of type google.protobuf.StringValue"));
}

TEST(MessageCodecTest, ARequestWithoutARequiredFieldIsAnErrorAndNoNoise) {
  testing::internal::CaptureStderr();
  UninterpretedOption::NamePart request;
  EXPECT_EQ(ParseRequest({}, request).code(), absl::StatusCode::kInternal);
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
}

TEST(MessageCodecTest, AReplyWithoutARequiredFieldIsAnErrorThatNamesIt) {
  UninterpretedOption::NamePart reply;
  reply.set_name_part("set");
  protocol::Payload payload;
  const absl::Status status = MakePayload(reply, payload);
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("is_extension"));
  EXPECT_EQ(payload.write, nullptr);
}

}  // namespace
}  // namespace anywire
