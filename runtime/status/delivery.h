// What is known of a failed call's delivery.
#ifndef ANYWIRE_RUNTIME_STATUS_DELIVERY_H_
#define ANYWIRE_RUNTIME_STATUS_DELIVERY_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace anywire {

// A retry is safe for any method after kNotSent and kNotProcessed; after kUnknown only for a method
// that may run twice.
enum class Delivery {
  kUnknown,       // the server may have run the handler, in part or whole
  kNotProcessed,  // the server proved that no handler saw the call
  kNotSent,       // nothing of the call left this process
};

// What a failed call's status says of its delivery. kUnknown for a status that says nothing, a
// handler's own among them.
Delivery DeliveryOf(const absl::Status& status);

// "unknown", "not processed", "not sent".
absl::string_view DeliveryName(Delivery delivery);

// The type URL under which a status carries its delivery. It is a fact about one attempt on one
// connection, so it never travels: a handler that returns the status of a call of its own does not
// pass that call's delivery on.
inline constexpr absl::string_view kDeliveryPayload = "anywire/delivery";

// Used by the runtime: `status` with the delivery noted in a payload (absent for kUnknown). OK
// carries none.
absl::Status WithDelivery(absl::Status status, Delivery delivery);

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_STATUS_DELIVERY_H_
