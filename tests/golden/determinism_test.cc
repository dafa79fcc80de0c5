#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/golden/scratch.h"

namespace anywire::codegen {
namespace {

using Files = std::map<std::string, std::string>;

std::vector<std::string> Cases() {
  std::vector<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator("tests/golden/cases")) {
    paths.push_back("tests/golden/cases/" + entry.path().filename().string());
  }
  return paths;
}

TEST(Determinism, TheSameInputGivesTheSameBytes) {
  Scratch scratch;
  const std::vector<std::string> cases = Cases();
  ASSERT_GE(cases.size(), 10u);
  ASSERT_EQ(scratch.Protoc("mock=true", cases, "one").exit_code, 0);
  ASSERT_EQ(scratch.Protoc("mock=true", cases, "two").exit_code, 0);
  const Files one = scratch.ReadAll("one");
  EXPECT_EQ(one.size(), 3 * cases.size());
  EXPECT_EQ(one, scratch.ReadAll("two"));
}

TEST(Determinism, AFilesOutputDependsOnItAlone) {
  Scratch scratch;
  std::vector<std::string> cases = Cases();
  ASSERT_EQ(scratch.Protoc("", cases, "together").exit_code, 0);
  ASSERT_EQ(scratch.Protoc("", {cases.rbegin(), cases.rend()}, "backwards").exit_code, 0);
  for (const std::string& path : cases) ASSERT_EQ(scratch.Protoc("", {path}, "alone").exit_code, 0);
  const Files together = scratch.ReadAll("together");
  EXPECT_EQ(together.size(), 2 * cases.size());
  EXPECT_EQ(together, scratch.ReadAll("backwards"));
  EXPECT_EQ(together, scratch.ReadAll("alone"));
}

}  // namespace
}  // namespace anywire::codegen
