#include "transports/udp/reliability/crc32c.h"

#include <array>
#include <bit>
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#include <nmmintrin.h>
#include <wmmintrin.h>
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
bool HasInstructions() {
  unsigned a, b, c, d;
  constexpr unsigned kNeeded = bit_SSE4_2 | bit_PCLMUL;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & kNeeded) == kNeeded;
}

// x to the power of `exponent`, modulo the polynomial, bits reversed.
constexpr uint64_t PowerOfX(size_t exponent) {
  uint32_t value = 0x80000000;
  for (; exponent > 0; --exponent) value = (value >> 1) ^ ((value & 1) != 0 ? kPolynomial : 0);
  return value;
}

// The instruction takes a word every cycle, and three for its result. So three parts of a block are
// summed beside each other.
constexpr size_t kPart = 128;

// The sum `value` of what is followed by so many bytes of zeros, without the zeros: the product
// with a power of x. (The product of two reversed words comes shifted by one, and the instruction
// reduces it times x^32: hence 33.)
template <size_t zeros>
__attribute__((target("sse4.2,pclmul"))) uint64_t Append(uint64_t value) {
  constexpr uint64_t kFactor = PowerOfX(8 * zeros - 33);
  const __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128(static_cast<int64_t>(value)),
                                               _mm_cvtsi64_si128(kFactor), 0);
  return _mm_crc32_u64(0, static_cast<uint64_t>(_mm_cvtsi128_si64(product)));
}

uint64_t WordAt(const uint8_t* at) {
  uint64_t word;
  std::memcpy(&word, at, sizeof(word));
  return word;
}

__attribute__((target("sse4.2,pclmul"))) uint32_t Crc32cByInstruction(
    absl::Span<const uint8_t> bytes) {
  const uint8_t* at = bytes.data();
  size_t left = bytes.size();
  uint64_t value = 0xffffffff;
  for (; left >= 3 * kPart; left -= 3 * kPart, at += 2 * kPart) {
    uint64_t second = 0;
    uint64_t third = 0;
    for (const uint8_t* const end = at + kPart; at != end; at += 8) {
      value = _mm_crc32_u64(value, WordAt(at));
      second = _mm_crc32_u64(second, WordAt(at + kPart));
      third = _mm_crc32_u64(third, WordAt(at + 2 * kPart));
    }
    value = Append<2 * kPart>(value) ^ Append<kPart>(second) ^ third;
  }
  for (; left >= 8; left -= 8, at += 8) value = _mm_crc32_u64(value, WordAt(at));
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
  static const bool has_instructions = HasInstructions();
  if (has_instructions) return Crc32cByInstruction(bytes);
#endif
  return Crc32cPortable(bytes);
}

}  // namespace anywire::udp
