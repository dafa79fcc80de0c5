// What is known of a failed call's delivery.
#ifndef ANYWIRE_RUNTIME_STATUS_DELIVERY_H_
#define ANYWIRE_RUNTIME_STATUS_DELIVERY_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace anywire {

// A retry is safe for any method after kNotSent and kNotProcessed; after kUnknown only for a method that may run twice.
enum class Delivery {
  kUnknown,       // the server may have run the handler, in part or whole
  kNotProcessed,  // the server proved that no handler saw the call
  kNotSent,       // nothing of the call left this process
};

// What a failed call's status says of its delivery. kUnknown for a status that says nothing, a handler's own among them.
Delivery DeliveryOf(const absl::Status& status);

// "unknown", "not processed", "not sent".
absl::string_view DeliveryName(Delivery delivery);

// Used by the runtime: `status` with the delivery noted in a payload (absent for kUnknown).
absl::Status WithDelivery(absl::Status status, Delivery delivery);

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_STATUS_DELIVERY_H_
