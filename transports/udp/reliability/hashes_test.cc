#include <random>
#include <set>
#include <vector>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "tests/support/seed.h"
#include "transports/udp/reliability/crc32c.h"
#include "transports/udp/reliability/keyed_random.h"
#include "transports/udp/reliability/sip_hash.h"

namespace anywire::udp {
namespace {

using Bytes = std::vector<uint8_t>;

// RFC 3720, appendix B.4; the first is the check value of CRC catalogues.
TEST(Crc32cTest, PublishedValues) {
  constexpr absl::string_view kDigits = "123456789";
  Bytes ascending(32), descending(32);
  for (uint8_t i = 0; i < 32; ++i) ascending[i] = descending[31 - i] = i;
  for (const Crc32cFunction crc : Crc32cFunctions()) {
    EXPECT_EQ(0xe3069283u, crc({reinterpret_cast<const uint8_t*>(kDigits.data()), 9}));
    EXPECT_EQ(0x8a9136aau, crc(Bytes(32, 0x00)));
    EXPECT_EQ(0x62a8ab43u, crc(Bytes(32, 0xff)));
    EXPECT_EQ(0x46dd794eu, crc(ascending));
    EXPECT_EQ(0x113fdb5cu, crc(descending));
    EXPECT_EQ(0u, crc({}));
  }
}

TEST(Crc32cTest, AllWaysAgreeOnAllSizes) {
  const absl::Span<const Crc32cFunction> all = Crc32cFunctions();
  std::mt19937_64 random(test::TestSeed(1));
  Bytes bytes(2100);  // several times what the widest takes in a step
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
  for (size_t begin = 0; begin < 9; ++begin) {
    for (size_t size = 0; begin + size <= bytes.size(); ++size) {
      const auto part = absl::MakeConstSpan(bytes).subspan(begin, size);
      const uint32_t expected = all.back()(part);
      for (const Crc32cFunction crc : all.first(all.size() - 1)) {
        ASSERT_EQ(expected, crc(part)) << begin << " " << size;
      }
      ASSERT_EQ(expected, Crc32c(part));
    }
  }
}

TEST(Crc32cTest, EveryFlippedBitShows) {
  Bytes bytes(1200, 0x5a);
  const uint32_t before = Crc32c(bytes);
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    bytes[bit / 8] ^= 1 << (bit % 8);
    ASSERT_NE(before, Crc32c(bytes)) << bit;
    bytes[bit / 8] ^= 1 << (bit % 8);
  }
}

// The reference implementation's vectors: key 00 01 .. 0f, inputs 00 01 .. of each length.
TEST(SipHashTest, PublishedValues) {
  const SipKey key = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
  const SipDigest empty = {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6,
                           0x6d, 0xf6, 0x72, 0x14, 0xc7, 0x55, 0x02, 0x93};
  const SipDigest one = {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44,
                         0x34, 0x76, 0x59, 0x11, 0x9b, 0x22, 0xfc, 0x45};
  EXPECT_EQ(empty, SipHash128(key, {}));
  EXPECT_EQ(one, SipHash128(key, Bytes{0}));
  const SipDigest nine = {0x26, 0x44, 0x99, 0x06, 0x0a, 0xd9, 0xba, 0xab,
                          0xc4, 0x7f, 0x8b, 0x02, 0xbb, 0x6d, 0x71, 0xed};
  EXPECT_EQ(nine, SipHash128(key, Bytes{0, 1, 2, 3, 4, 5, 6, 7, 8}));
}

TEST(SipHashTest, KeyLengthAndEveryByteMatter) {
  std::set<SipDigest> digests;
  size_t inputs = 0;
  for (size_t size = 0; size < 40; ++size, ++inputs) digests.insert(SipHash128({}, Bytes(size)));
  for (size_t i = 0; i < 40; ++i, ++inputs) {
    Bytes bytes(40);
    bytes[i] = 1;
    digests.insert(SipHash128({}, bytes));
  }
  digests.insert(SipHash128({.k0 = 1}, Bytes(40)));
  digests.insert(SipHash128({.k1 = 1}, Bytes(40)));
  EXPECT_EQ(inputs + 2, digests.size());
}

TEST(KeyedRandomTest, SameSeedSameNumbers) {
  KeyedRandom a({1, 2}), b({1, 2}), c({1, 3});
  std::set<uint64_t> seen;
  for (int i = 0; i < 1000; ++i) {
    const uint64_t number = a.Next();
    EXPECT_EQ(number, b.Next());
    seen.insert(number);
    seen.insert(c.Next());
  }
  EXPECT_EQ(2000u, seen.size());
}

}  // namespace
}  // namespace anywire::udp
