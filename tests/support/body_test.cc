#include "tests/support/body.h"

#include <string>

#include "gtest/gtest.h"

namespace anywire::test {
namespace {

TEST(BodyTest, AcceptsItsOwnOfEverySize) {
  for (size_t size = 0; size < 40; ++size) {
    EXPECT_TRUE(
        CheckBody({7, Direction::kReply, 3}, MakeBody({7, Direction::kReply, 3}, size)).ok());
  }
}

TEST(BodyTest, SeesEveryChangedByte) {
  const BodyKey key = {7, Direction::kRequest, 0};
  const std::string body = MakeBody(key, 37);
  for (size_t at = 0; at < body.size(); ++at) {
    std::string changed = body;
    changed[at] ^= 1;
    EXPECT_FALSE(CheckBody(key, changed).ok()) << at;
  }
}

TEST(BodyTest, SeesTheBodyOfAnotherMessage) {
  const std::string body = MakeBody({7, Direction::kRequest, 1}, 8);
  EXPECT_FALSE(CheckBody({8, Direction::kRequest, 1}, body).ok());
  EXPECT_FALSE(CheckBody({7, Direction::kReply, 1}, body).ok());
  EXPECT_FALSE(CheckBody({7, Direction::kRequest, 2}, body).ok());
}

TEST(BodyTest, SeesMovedBytes) {
  const BodyKey key = {1, Direction::kRequest, 0};
  std::string body = MakeBody(key, 64);
  EXPECT_FALSE(CheckBody(key, body.substr(8)).ok());
  EXPECT_FALSE(CheckBody(key, body.substr(1)).ok());
}

}  // namespace
}  // namespace anywire::test
