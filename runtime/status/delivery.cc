#include "anywire/delivery.h"

#include "absl/strings/cord.h"
#include "absl/types/optional.h"

namespace anywire {
namespace {

constexpr absl::string_view kNotProcessedText = "not processed";
constexpr absl::string_view kNotSentText = "not sent";

}  // namespace

Delivery DeliveryOf(const absl::Status& status) {
  if (status.ok()) return Delivery::kUnknown;
  const absl::optional<absl::Cord> note = status.GetPayload(kDeliveryPayload);
  if (!note.has_value()) return Delivery::kUnknown;
  if (*note == kNotProcessedText) return Delivery::kNotProcessed;
  if (*note == kNotSentText) return Delivery::kNotSent;
  return Delivery::kUnknown;
}

absl::string_view DeliveryName(Delivery delivery) {
  switch (delivery) {
    case Delivery::kUnknown:
      return "unknown";
    case Delivery::kNotProcessed:
      return kNotProcessedText;
    case Delivery::kNotSent:
      return kNotSentText;
  }
  return "unknown";
}

absl::Status WithDelivery(absl::Status status, Delivery delivery) {
  if (status.ok()) return status;
  if (delivery == Delivery::kUnknown) {
    status.ErasePayload(kDeliveryPayload);
  } else {
    status.SetPayload(kDeliveryPayload, absl::Cord(DeliveryName(delivery)));
  }
  return status;
}

}  // namespace anywire
