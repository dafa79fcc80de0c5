// Self-checking message bodies: every byte follows from the body's key and its offset, so a test
// keeps no copy of what it sent, and a byte that is lost, moved, changed or that belongs to another
// message is seen wherever it turns up.
#ifndef ANYWIRE_TESTS_SUPPORT_BODY_H_
#define ANYWIRE_TESTS_SUPPORT_BODY_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace anywire::test {

enum class Direction : uint8_t { kRequest, kReply };

// Which message a body belongs to.
struct BodyKey {
  uint64_t call = 0;
  Direction direction = Direction::kRequest;
  uint32_t index = 0;  // of the message in its stream
};

std::string MakeBody(BodyKey key, size_t size);

// OK, or DATA_LOSS with the first offset that is wrong.
absl::Status CheckBody(BodyKey key, absl::string_view body);

}  // namespace anywire::test

#endif  // ANYWIRE_TESTS_SUPPORT_BODY_H_
