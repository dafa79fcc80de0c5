#include "codegen/parameters.h"

#include "gtest/gtest.h"

namespace anywire::codegen {
namespace {

TEST(ParseParameter, NoneGivesTheDefaults) {
  ASSERT_TRUE(ParseParameter("").ok());
  EXPECT_FALSE(ParseParameter("")->mock);
}

TEST(ParseParameter, Mock) {
  EXPECT_TRUE(ParseParameter("mock=true").value().mock);
  EXPECT_FALSE(ParseParameter("mock=false").value().mock);
  // protoc joins several --anywire_opt with commas.
  EXPECT_TRUE(ParseParameter(",mock=true,").value().mock);
}

TEST(ParseParameter, SaysWhatIsWrongAndWhatIsKnown) {
  const auto message = [](absl::string_view parameter) {
    return ParseParameter(parameter).status().ToString();
  };
  EXPECT_EQ(message("mok=true"),
            "INVALID_ARGUMENT: unknown parameter \"mok=true\"; known is \"mock=true\" (or false)");
  EXPECT_EQ(message("mock"),
            "INVALID_ARGUMENT: parameter \"mock\": the value is \"true\" or \"false\"");
  EXPECT_EQ(message("mock=yes"),
            "INVALID_ARGUMENT: parameter \"mock=yes\": the value is \"true\" or \"false\"");
  EXPECT_EQ(message("mock=true,mock=false"), "INVALID_ARGUMENT: parameter \"mock\" is given twice");
}

}  // namespace
}  // namespace anywire::codegen
