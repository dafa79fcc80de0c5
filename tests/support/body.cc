#include "tests/support/body.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_format.h"

namespace anywire::test {
namespace {

// The finaliser of splitmix64: neighbouring inputs give unrelated words.
uint64_t Mix(uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9u;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

uint64_t Seed(BodyKey key) {
  const uint64_t message = uint64_t{key.index} << 1 | static_cast<uint64_t>(key.direction);
  return Mix(Mix(key.call + 0x9e3779b97f4a7c15u) + message);
}

// The eight bytes at offset 8 * `number`.
uint64_t Word(uint64_t seed, uint64_t number) { return Mix(seed + number * 0x9e3779b97f4a7c15u); }

}  // namespace

std::string MakeBody(BodyKey key, size_t size) {
  const uint64_t seed = Seed(key);
  std::string body(size, '\0');
  for (size_t at = 0; at < size; at += sizeof(uint64_t)) {
    const uint64_t word = Word(seed, at / sizeof(uint64_t));
    std::memcpy(&body[at], &word, std::min(sizeof(word), size - at));
  }
  return body;
}

absl::Status CheckBody(BodyKey key, absl::string_view body) {
  const uint64_t seed = Seed(key);
  for (size_t at = 0; at < body.size(); at += sizeof(uint64_t)) {
    const uint64_t word = Word(seed, at / sizeof(uint64_t));
    if (std::memcmp(&body[at], &word, std::min(sizeof(word), body.size() - at)) != 0) {
      return absl::DataLossError(absl::StrFormat(
          "body of call %d, %s %d: wrong within 8 bytes of offset %d of %d", key.call,
          key.direction == Direction::kRequest ? "request" : "reply", key.index, at, body.size()));
    }
  }
  return absl::OkStatus();
}

}  // namespace anywire::test
