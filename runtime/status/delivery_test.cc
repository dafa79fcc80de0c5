#include "anywire/delivery.h"

#include "absl/strings/cord.h"
#include "gtest/gtest.h"

namespace anywire {
namespace {

TEST(DeliveryTest, RoundTrip) {
  for (const Delivery delivery :
       {Delivery::kUnknown, Delivery::kNotProcessed, Delivery::kNotSent}) {
    EXPECT_EQ(DeliveryOf(WithDelivery(absl::UnavailableError("x"), delivery)), delivery);
  }
}

TEST(DeliveryTest, TheLastNoteCounts) {
  absl::Status status = WithDelivery(absl::UnavailableError("x"), Delivery::kNotSent);
  status = WithDelivery(status, Delivery::kUnknown);
  EXPECT_EQ(DeliveryOf(status), Delivery::kUnknown);
  EXPECT_EQ(status, absl::UnavailableError("x"));
}

TEST(DeliveryTest, SaysNothingForOkAndForStrangeNotes) {
  EXPECT_EQ(DeliveryOf(absl::OkStatus()), Delivery::kUnknown);
  EXPECT_TRUE(WithDelivery(absl::OkStatus(), Delivery::kNotSent).ok());
  absl::Status status = absl::InternalError("x");
  status.SetPayload(kDeliveryPayload, absl::Cord("maybe"));
  EXPECT_EQ(DeliveryOf(status), Delivery::kUnknown);
}

TEST(DeliveryTest, KeepsCodeMessageAndOtherPayloads) {
  absl::Status status = absl::InternalError("text");
  status.SetPayload("type/x", absl::Cord("abc"));
  status = WithDelivery(status, Delivery::kNotProcessed);
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_EQ(status.message(), "text");
  EXPECT_EQ(status.GetPayload("type/x"), absl::Cord("abc"));
}

TEST(DeliveryTest, Names) {
  EXPECT_EQ(DeliveryName(Delivery::kUnknown), "unknown");
  EXPECT_EQ(DeliveryName(Delivery::kNotProcessed), "not processed");
  EXPECT_EQ(DeliveryName(Delivery::kNotSent), "not sent");
}

}  // namespace
}  // namespace anywire
