// Variable-length integers: seven bits a byte, least significant first, the top bit set on all
// bytes but the last (as in protobuf). Unsigned 64 bits, at most ten bytes. The shortest form is
// the only one: others are refused, so that one value has one encoding.
#ifndef ANYWIRE_TRANSPORTS_VARINT_H_
#define ANYWIRE_TRANSPORTS_VARINT_H_

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace anywire::wire {

inline constexpr size_t kMaxVarintSize = 10;

constexpr size_t VarintSize(uint64_t value) {
  // ceil(bits / 7) for 1 to 64 bits, without a division.
  return (static_cast<size_t>(std::bit_width(value | 1)) * 9 + 64) / 64;
}

// Writes VarintSize(value) bytes and returns the place after them.
inline uint8_t* WriteVarint(uint64_t value, uint8_t* to) {
  while (value >= 0x80) {
    *to++ = static_cast<uint8_t>(value | 0x80);
    value >>= 7;
  }
  *to++ = static_cast<uint8_t>(value);
  return to;
}

inline uint8_t* WriteBytes(absl::string_view bytes, uint8_t* to) {
  if (!bytes.empty()) std::memcpy(to, bytes.data(), bytes.size());
  return to + bytes.size();
}

// A varint length and that many bytes.
inline size_t StringSize(absl::string_view bytes) {
  return VarintSize(bytes.size()) + bytes.size();
}
inline uint8_t* WriteString(absl::string_view bytes, uint8_t* to) {
  return WriteBytes(bytes, WriteVarint(bytes.size(), to));
}

// Reads forward through bytes that a peer sent. A function that returns false has found them
// malformed; the reader is not used after that.
class Reader {
 public:
  explicit Reader(absl::Span<const uint8_t> bytes)
      : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  bool done() const { return at_ == end_; }
  size_t left() const { return static_cast<size_t>(end_ - at_); }

  bool ReadByte(uint8_t* value) {
    if (at_ == end_) return false;
    *value = *at_++;
    return true;
  }

  bool ReadVarint(uint64_t* value) {
    if (at_ != end_ && *at_ < 0x80) {
      *value = *at_++;
      return true;
    }
    return ReadLongVarint(value);
  }

  // A varint length and that many bytes; a view into what is read.
  bool ReadString(absl::string_view* value) {
    uint64_t size = 0;
    if (!ReadVarint(&size) || size > left()) return false;
    *value = absl::string_view(reinterpret_cast<const char*>(at_), size);
    at_ += size;
    return true;
  }

  absl::Span<const uint8_t> Rest() {
    const absl::Span<const uint8_t> rest(at_, left());
    at_ = end_;
    return rest;
  }

 private:
  bool ReadLongVarint(uint64_t* value) {
    uint64_t result = 0;
    for (int shift = 0; shift < 70; shift += 7) {
      if (at_ == end_) return false;
      const uint8_t byte = *at_++;
      if (shift == 63 && byte > 1) return false;  // more than 64 bits
      result |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) {
        if (byte == 0 && shift > 0) return false;  // not the shortest form
        *value = result;
        return true;
      }
    }
    return false;
  }

  const uint8_t* at_;
  const uint8_t* end_;
};

}  // namespace anywire::wire

#endif  // ANYWIRE_TRANSPORTS_VARINT_H_
