#include "transports/udp/reliability/address_token.h"

#include "gtest/gtest.h"

namespace anywire::udp {
namespace {

constexpr Instant kNow{std::chrono::hours(5)};
constexpr std::chrono::microseconds kTick{1};

PeerAddress Address(uint8_t last) {
  PeerAddress address;
  address.bytes.back() = last;
  return address;
}

TEST(AddressTokenTest, IsValidForItsAddressAndId) {
  const AddressTokens tokens({1, 2});
  const Token token = tokens.Make(kNow, Address(1), 7);
  EXPECT_TRUE(tokens.IsValid(kNow, Address(1), 7, token));
  EXPECT_FALSE(tokens.IsValid(kNow, Address(2), 7, token));
  EXPECT_FALSE(tokens.IsValid(kNow, Address(1), 8, token));
  EXPECT_FALSE(AddressTokens({1, 3}).IsValid(kNow, Address(1), 7, token)) << "another server's";
}

TEST(AddressTokenTest, IsValidForItsTime) {
  const AddressTokens tokens({1, 2});
  const Token token = tokens.Make(kNow, Address(1), 7);
  EXPECT_TRUE(tokens.IsValid(kNow + kTokenLifetime, Address(1), 7, token));
  EXPECT_FALSE(tokens.IsValid(kNow + kTokenLifetime + kTick, Address(1), 7, token));
  EXPECT_FALSE(tokens.IsValid(kNow - kTick, Address(1), 7, token)) << "of later than now";
}

TEST(AddressTokenTest, NoBitMayChange) {
  const AddressTokens tokens({1, 2});
  const Token token = tokens.Make(kNow, Address(1), 7);
  for (size_t bit = 0; bit < kTokenSize * 8; ++bit) {
    Token changed = token;
    changed[bit / 8] ^= 1 << (bit % 8);
    EXPECT_FALSE(tokens.IsValid(kNow, Address(1), 7, changed)) << bit;
  }
}

}  // namespace
}  // namespace anywire::udp
