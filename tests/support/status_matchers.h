// GoogleTest matchers for absl::Status and absl::StatusOr.
#ifndef ANYWIRE_TESTS_SUPPORT_STATUS_MATCHERS_H_
#define ANYWIRE_TESTS_SUPPORT_STATUS_MATCHERS_H_

#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "anywire/delivery.h"
#include "gmock/gmock.h"

namespace anywire::test {

inline const absl::Status& StatusOf(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}

MATCHER(IsOk, "is OK") {
  *result_listener << StatusOf(arg).ToString();
  return StatusOf(arg).ok();
}

// EXPECT_THAT(reply, StatusIs(absl::StatusCode::kNotFound));
MATCHER_P(StatusIs, code, "has the code " + absl::StatusCodeToString(code)) {
  *result_listener << StatusOf(arg).ToString();
  return StatusOf(arg).code() == code;
}
MATCHER_P2(StatusIs, code, message,
           "has the code " + absl::StatusCodeToString(code) + " and a message that " +
               ::testing::DescribeMatcher<std::string>(message)) {
  *result_listener << StatusOf(arg).ToString();
  return StatusOf(arg).code() == code &&
         ::testing::Matches(message)(std::string(StatusOf(arg).message()));
}

// What the status says of the call's delivery.
MATCHER_P(Delivered, delivery, "says " + std::string(DeliveryName(delivery))) {
  *result_listener << StatusOf(arg).ToString() << ", "
                   << std::string(DeliveryName(DeliveryOf(StatusOf(arg))));
  return DeliveryOf(StatusOf(arg)) == delivery;
}

}  // namespace anywire::test

#define ASSERT_OK(expression) \
  ASSERT_THAT(::anywire::test::StatusOf(expression), ::anywire::test::IsOk())
#define EXPECT_OK(expression) \
  EXPECT_THAT(::anywire::test::StatusOf(expression), ::anywire::test::IsOk())

#endif  // ANYWIRE_TESTS_SUPPORT_STATUS_MATCHERS_H_
