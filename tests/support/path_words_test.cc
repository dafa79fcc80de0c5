#include "tests/support/path_words.h"

#include "gtest/gtest.h"

namespace anywire::test {
namespace {

TEST(PathWordsTest, EachSaysOneThing) {
  const auto options =
      ParsePathWords({"delay=500us", "jitter=1ms", "reorder=1", "loss=2", "burst=3", "duplicate=4",
                      "corrupt=5", "mtu=1200", "bandwidth=1e6", "queue=5000", "seed=7"});
  ASSERT_EQ(absl::OkStatus(), options.status());
  EXPECT_EQ(std::chrono::microseconds(500), options->path.delay);
  EXPECT_EQ(std::chrono::milliseconds(1), options->path.jitter);
  EXPECT_EQ(1, options->path.reorder);
  EXPECT_EQ(2, options->path.loss);
  EXPECT_EQ(3, options->path.burst);
  EXPECT_EQ(4, options->path.duplicate);
  EXPECT_EQ(5, options->path.corrupt);
  EXPECT_EQ(1200u, options->path.mtu);
  EXPECT_EQ(1e6, options->path.bandwidth);
  EXPECT_EQ(5000u, options->path.queue);
  EXPECT_EQ(7u, options->seed);
}

TEST(PathWordsTest, NoWordsAreAGoodPath) {
  EXPECT_EQ(std::chrono::nanoseconds(0), ParsePathWords({})->path.delay);
  EXPECT_EQ(0, ParsePathWords({})->path.loss);
}

TEST(PathWordsTest, LimitsAreWithin) {
  for (const char* word : {"loss=0", "loss=100", "burst=1", "mtu=65535", "delay=1h"}) {
    EXPECT_TRUE(ParsePathWords({word}).ok()) << word;
  }
}

TEST(PathWordsTest, WhatSaysNothingIsRefused) {
  for (const char* word :
       {"", "loss", "loss=", "loss=101", "loss=-1", "loss=1%", "los=1", "burst=0", "mtu=65536",
        "delay=5", "delay=-1ms", "delay=2h", "bandwidth=-1", "seed=x", "=1"}) {
    const auto options = ParsePathWords({"loss=1", word});
    EXPECT_EQ(absl::StatusCode::kInvalidArgument, options.status().code()) << word;
  }
}

}  // namespace
}  // namespace anywire::test
