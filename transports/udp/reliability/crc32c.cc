#include "transports/udp/reliability/crc32c.h"

#include <array>
#include <bit>
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
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

// `value` is the sum of what is before `bytes`.
__attribute__((target("sse4.2,pclmul"))) uint32_t Sum(uint64_t value,
                                                      absl::Span<const uint8_t> bytes) {
  const uint8_t* at = bytes.data();
  size_t left = bytes.size();
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
  return result;
}

uint32_t Crc32cByInstruction(absl::Span<const uint8_t> bytes) { return ~Sum(0xffffffff, bytes); }

// ---- By folding (V. Gopal et al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ
// Instruction", Intel, 2009): a row of bytes is moved on by products with powers of x, modulo the
// polynomial, onto the bytes that are so far behind it. What is left in the end has the same sum.

constexpr size_t kRow = 64;
// What is shorter is summed by instruction before the rows are set up.
constexpr size_t kFoldedFrom = 4 * kRow;

// Each 16 bytes of `row`, moved `distance` bytes on and added to those of `onto`. (The first eight
// are 64 powers of x higher than the others. A factor takes the upper half of its word, 32 powers,
// and the product comes shifted by one.)
template <size_t distance>
__attribute__((target("avx512f,vpclmulqdq"))) __m512i Fold(__m512i row, __m512i onto) {
  constexpr auto kFirst = static_cast<int64_t>(PowerOfX(8 * distance + 64 - 33));
  constexpr auto kSecond = static_cast<int64_t>(PowerOfX(8 * distance - 33));
  const __m512i factors =
      _mm512_set_epi64(kSecond, kFirst, kSecond, kFirst, kSecond, kFirst, kSecond, kFirst);
  constexpr int kXorOfThree = 0x96;
  return _mm512_ternarylogic_epi64(_mm512_clmulepi64_epi128(row, factors, 0x00),
                                   _mm512_clmulepi64_epi128(row, factors, 0x11), onto, kXorOfThree);
}

__attribute__((target("avx512f,vpclmulqdq"))) uint32_t Crc32cByFolding(
    absl::Span<const uint8_t> bytes) {
  if (bytes.size() < kFoldedFrom) return Crc32cByInstruction(bytes);
  const auto row_at = [&bytes](size_t i) __attribute__((target("avx512f,vpclmulqdq"))) {
    return _mm512_loadu_si512(bytes.data() + i * kRow);
  };
  // Two beside each other, since a product takes a while. The sum begins with all ones, which the
  // first four bytes take in.
  __m512i first = _mm512_xor_si512(row_at(0), _mm512_zextsi128_si512(_mm_cvtsi32_si128(-1)));
  __m512i second = row_at(1);
  for (bytes.remove_prefix(2 * kRow); bytes.size() >= 2 * kRow; bytes.remove_prefix(2 * kRow)) {
    first = Fold<2 * kRow>(first, row_at(0));
    second = Fold<2 * kRow>(second, row_at(1));
  }
  uint8_t last[kRow];
  _mm512_storeu_si512(last, Fold<kRow>(first, second));
  return ~Sum(Sum(0, last), bytes);
}

// ---- What this processor has. (Not __builtin_cpu_supports, whose symbol is in libgcc, where
// link-time optimisation asks for it too late.)

bool HasInstructions() {
  unsigned a, b, c, d;
  constexpr unsigned kNeeded = bit_SSE4_2 | bit_PCLMUL;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & kNeeded) == kNeeded;
}

// Whether the system keeps the wide registers too.
__attribute__((target("xsave"))) bool KeepsWideRegisters() {
  constexpr unsigned long long kNeeded = 0xe6;  // xmm, ymm, and three parts of zmm
  unsigned a, b, c, d;
  return __get_cpuid(1, &a, &b, &c, &d) != 0 && (c & bit_OSXSAVE) != 0 &&
         (_xgetbv(0) & kNeeded) == kNeeded;
}

bool HasWideProducts() {
  unsigned a, b, c, d;
  return HasInstructions() && KeepsWideRegisters() &&
         __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & bit_AVX512F) != 0 &&
         (c & bit_VPCLMULQDQ) != 0;
}
#endif

uint32_t Crc32cByTables(absl::Span<const uint8_t> bytes) {
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

}  // namespace

absl::Span<const Crc32cFunction> Crc32cFunctions() {
  static constexpr Crc32cFunction kFunctions[] = {
#if defined(__x86_64__)
    &Crc32cByFolding,
    &Crc32cByInstruction,
#endif
    &Crc32cByTables
  };
  constexpr absl::Span<const Crc32cFunction> kAll(kFunctions);
#if defined(__x86_64__)
  static const size_t unknown = HasWideProducts() ? 0 : HasInstructions() ? 1 : 2;
  return kAll.subspan(unknown);
#else
  return kAll;
#endif
}

uint32_t Crc32c(absl::Span<const uint8_t> bytes) {
  static const Crc32cFunction fastest = Crc32cFunctions().front();
  return fastest(bytes);
}

}  // namespace anywire::udp
