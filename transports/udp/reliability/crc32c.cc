#include "transports/udp/reliability/crc32c.h"

#include <array>
#include <bit>
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#include <nmmintrin.h>
#endif

namespace anywire::udp {
namespace {

static_assert(std::endian::native == std::endian::little);

// The polynomial 0x1EDC6F41, bits reversed.
constexpr uint32_t kPolynomial = 0x82f63b78;

// tables[k][b]: what the byte b contributes when k more bytes follow it in the step.
using Tables = std::array<std::array<uint32_t, 256>, 8>;
constexpr Tables MakeTables() {
  Tables tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t value = byte;
    for (int bit = 0; bit < 8; ++bit) value = (value >> 1) ^ ((value & 1) != 0 ? kPolynomial : 0);
    tables[0][byte] = value;
  }
  for (uint32_t byte = 0; byte < 256; ++byte) {
    for (size_t k = 1; k < 8; ++k) {
      const uint32_t before = tables[k - 1][byte];
      tables[k][byte] = (before >> 8) ^ tables[0][before & 0xff];
    }
  }
  return tables;
}
constexpr Tables kTables = MakeTables();

#if defined(__x86_64__)
// Not __builtin_cpu_supports, whose symbol is in libgcc, where link-time optimisation asks for it
// too late.
bool HasInstruction() {
  unsigned a, b, c, d;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_SSE4_2) != 0;
}

__attribute__((target("sse4.2"))) uint32_t Crc32cByInstruction(absl::Span<const uint8_t> bytes) {
  const uint8_t* at = bytes.data();
  size_t left = bytes.size();
  uint64_t value = 0xffffffff;
  for (; left >= 8; left -= 8, at += 8) {
    uint64_t word;
    std::memcpy(&word, at, 8);
    value = _mm_crc32_u64(value, word);
  }
  auto result = static_cast<uint32_t>(value);
  for (; left > 0; --left) result = _mm_crc32_u8(result, *at++);
  return ~result;
}
#endif

}  // namespace

uint32_t Crc32cPortable(absl::Span<const uint8_t> bytes) {
  const uint8_t* at = bytes.data();
  size_t left = bytes.size();
  uint32_t value = 0xffffffff;
  for (; left >= 8; left -= 8, at += 8) {
    uint64_t word;
    std::memcpy(&word, at, 8);
    word ^= value;
    value = 0;
    for (size_t i = 0; i < 8; ++i) value ^= kTables[7 - i][(word >> (8 * i)) & 0xff];
  }
  for (; left > 0; --left) value = (value >> 8) ^ kTables[0][(value ^ *at++) & 0xff];
  return ~value;
}

uint32_t Crc32c(absl::Span<const uint8_t> bytes) {
#if defined(__x86_64__)
  static const bool has_instruction = HasInstruction();
  if (has_instruction) return Crc32cByInstruction(bytes);
#endif
  return Crc32cPortable(bytes);
}

}  // namespace anywire::udp
