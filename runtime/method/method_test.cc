#include "anywire/method.h"

#include <set>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace anywire {
namespace {

constinit const Method kSayHello("greeter.Greeter/SayHello", CallShape::kUnary);
constinit const Method kSayHelloElsewhere("greeter.Greeter/SayHello", CallShape::kUnary);
constinit const Method kWatch("greeter.Greeter/Watch", CallShape::kServerStreaming);

TEST(MethodTest, KnowsItsNameAndShape) {
  EXPECT_EQ(kWatch.full_name(), "greeter.Greeter/Watch");
  EXPECT_EQ(kWatch.shape(), CallShape::kServerStreaming);
}

TEST(MethodTest, IndexIsNotZeroAndStaysTheSame) {
  const uint32_t index = kSayHello.index();
  EXPECT_NE(index, 0u);
  EXPECT_EQ(kSayHello.index(), index);
}

TEST(MethodTest, IndexBelongsToTheName) {
  EXPECT_EQ(kSayHello.index(), kSayHelloElsewhere.index());
  EXPECT_NE(kSayHello.index(), kWatch.index());
}

TEST(MethodTest, ANameMayGoAwayBeforeItsIndex) {
  uint32_t first;
  {
    const std::string name = "test.Service/Temporary";
    first = Method(name, CallShape::kUnary).index();
  }
  const std::string again = "test.Service/Temporary";
  EXPECT_EQ(Method(again, CallShape::kUnary).index(), first);
}

TEST(MethodTest, ThreadsThatAskAtOnceAgree) {
  const Method method("test.Service/Contended", CallShape::kUnary);
  std::vector<uint32_t> seen(4);
  std::vector<std::thread> threads;
  for (uint32_t& index : seen) {
    threads.emplace_back([&index, &method] { index = method.index(); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(std::set<uint32_t>(seen.begin(), seen.end()).size(), 1u);
}

}  // namespace
}  // namespace anywire
