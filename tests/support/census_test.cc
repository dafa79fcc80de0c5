#include "tests/support/census.h"

#include <unistd.h>

#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace anywire::test {
namespace {

TEST(CensusTest, IsContentWhenAllIsGone) {
  const Census census;
  const int fd = dup(STDOUT_FILENO);
  std::thread thread([] {});
  thread.join();
  close(fd);
  EXPECT_TRUE(census.BackToBaseline().ok());
}

TEST(CensusTest, NamesWhatIsLeft) {
  const Census census;
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  EXPECT_THAT(census.BackToBaseline(absl::ZeroDuration()).ToString(),
              ::testing::HasSubstr("(pipe:["));
  close(ends[0]);
  close(ends[1]);
  EXPECT_TRUE(census.BackToBaseline().ok());
}

}  // namespace
}  // namespace anywire::test
