// What protoc says, word for word, of what no code can be generated for: file, line and column
// first.
#include <ostream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/golden/scratch.h"

namespace anywire::codegen {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct ErrorCase {
  std::string name;
  std::string schema;
  std::string expected;
  std::string parameter = "";
};

void PrintTo(const ErrorCase& error_case, std::ostream* out) { *out << error_case.name; }

// Every problem is reported, a line each.
const ErrorCase kCases[] = {
    {.name = "BadTimeoutOfMethod",
     .schema = R"(syntax = "proto3";
import "idl/options.proto";
message M {}
service S {
  rpc Get(M) returns (M) {
    option (anywire.method).default_timeout = "1 day";
  }
}
)",
     .expected = "bad.proto:6:5: default_timeout \"1 day\" is not a duration: write a number with "
                 "a unit, as \"250ms\", "
                 "\"1.5s\" or \"1h30m\", or \"inf\"\n"},
    {.name = "BadTimeoutOfService",
     .schema = R"(syntax = "proto3";
import "idl/options.proto";
service S {
  option (anywire.service) = {
    default_timeout: "0s"
  };
}
)",
     .expected = "bad.proto:4:3: default_timeout \"0s\" is too short: the least is \"1ms\"\n"},
    {.name = "MethodsOfOneName",
     .schema = R"(syntax = "proto3";
message M {}
service S {
  rpc delete(M) returns (M);
  rpc delete_(M) returns (M);
}
)",
     .expected = "bad.proto:5:7: method \"delete_\" would become C++ function \"delete_\", as "
                 "method \"delete\" does\n"},
    {.name = "MethodOfAMembersName",
     .schema = R"(syntax = "proto3";
message M {}
service S {
  rpc Bind_(M) returns (M);
  rpc Bind(M) returns (M);
}
)",
     .expected = "bad.proto:5:7: method \"Bind\" would become C++ function \"Bind_\", as method "
                 "\"Bind_\" does\n"},
    {.name = "ReservedNames",
     .schema = R"(syntax = "proto3";
message M {}
service __S {
  rpc _Get(M) returns (M);
  rpc __get(M) returns (M);
  rpc _get(M) returns (M);
}
)",
     .expected = "bad.proto:3:9: service \"__S\" cannot be a C++ class: names that begin like this "
                 "are kept for compilers\n"
                 "bad.proto:4:7: method \"_Get\" cannot be a C++ function: names that begin like "
                 "this are kept for "
                 "compilers\n"
                 "bad.proto:5:7: method \"__get\" cannot be a C++ function: names that begin like "
                 "this are kept for "
                 "compilers\n"},
    {.name = "ServicesOfOneName",
     .schema = R"(syntax = "proto3";
package p;
service class {}
service class_ {}
)",
     .expected = "bad.proto:4:9: service \"p.class_\" would become C++ class \"class_\", the name "
                 "of service \"p.class\"\n"},
    {.name = "ServiceOfAMessagesName",
     .schema = R"(syntax = "proto3";
package p;
message Outer {
  message Inner {}
  enum Kind { NONE = 0; }
}
service Outer_Inner {}
service Outer_Kind {}
)",
     .expected = "bad.proto:7:9: service \"p.Outer_Inner\" would become C++ class \"Outer_Inner\", "
                 "the name of type "
                 "\"p.Outer.Inner\"\n"
                 "bad.proto:8:9: service \"p.Outer_Kind\" would become C++ class \"Outer_Kind\", "
                 "the name of type "
                 "\"p.Outer.Kind\"\n"},
    {.name = "MockOfAMessagesName",
     .schema = R"(syntax = "proto3";
package p;
message MockSService {}
service S {
  rpc MockSStub(MockSService) returns (MockSService);
}
)",
     .expected =
         "bad.proto:4:9: service \"p.S\" would become C++ class \"MockSService\", the name of type "
         "\"p.MockSService\"\n"
         "bad.proto:5:7: method \"MockSStub\" has the name of the mock of its service\n",
     .parameter = "mock=true"},
    {.name = "KeywordAsPackage",
     .schema = R"(syntax = "proto3";

package company.new.concept;

message M {}
service S { rpc Get(M) returns (M); }
)",
     .expected = "bad.proto:3:1: package \"company.new.concept\" cannot be a C++ namespace: "
                 "\"new\" is a keyword of C++, "
                 "and protobuf does not rename namespaces\n"
                 "bad.proto:3:1: package \"company.new.concept\" cannot be a C++ namespace: "
                 "\"concept\" is a keyword of "
                 "C++, and protobuf does not rename namespaces\n"},
    {.name = "PackageOfOthers",
     .schema = R"(syntax = "proto3";
package anywire;
service S {}
)",
     .expected = "bad.proto:2:1: package \"anywire\" is a C++ namespace that belongs to others: "
                 "services need one of their "
                 "own\n"},
    {.name = "ServiceInThePlaceOfANamespace",
     .schema = R"(syntax = "proto3";
service std {}
)",
     .expected = "bad.proto:2:9: service \"std\" cannot be a C++ class: it is a namespace; put the "
                 "file in a package\n"},
    {.name = "MessageThatIsNoCpp20",
     .schema = R"(syntax = "proto3";
package p;
message requires { message Fine {} }
service S {
  rpc Get(requires) returns (requires.Fine);
}
)",
     .expected = "bad.proto:5:7: method \"Get\" uses message \"p.requires\", whose C++ name would "
                 "have a keyword in it that "
                 "protobuf does not rename\n"},
    {.name = "GenericServices",
     .schema = R"(syntax = "proto2";
package p;
option cc_generic_services = true;
message M {}
service S { rpc Get(M) returns (M); }
)",
     .expected = "bad.proto:3:1: option cc_generic_services makes protobuf generate classes that "
                 "take the names of "
                 "anywire's: remove it\n"},
    {.name = "UnknownParameter",
     .schema = "syntax = \"proto3\";",
     .expected = "unknown parameter \"mocks=true\"; known is \"mock=true\" (or false)\n",
     .parameter = "mocks=true"},
    {.name = "BadParameter",
     .schema = "syntax = \"proto3\";",
     .expected = "parameter \"mock=1\": the value is \"true\" or \"false\"\n",
     .parameter = "mock=1"},
};

class ErrorTest : public testing::TestWithParam<ErrorCase> {};

TEST_P(ErrorTest, IsWhatProtocSays) {
  Scratch scratch;
  scratch.Write("bad.proto", GetParam().schema);
  const CommandResult result = scratch.Protoc(GetParam().parameter, {"bad.proto"});
  EXPECT_EQ(result.exit_code, 1);
  // The first words are protoc's own.
  EXPECT_EQ(result.output, "--anywire_out: " + GetParam().expected);
  EXPECT_THAT(scratch.ReadAll("out"), IsEmpty());
}

INSTANTIATE_TEST_SUITE_P(All, ErrorTest, testing::ValuesIn(kCases),
                         [](const testing::TestParamInfo<ErrorCase>& info) {
                           return info.param.name;
                         });

TEST(Errors, OfSeveralFilesAreAllReported) {
  Scratch scratch;
  scratch.Write("good.proto", "syntax = \"proto3\"; service Good {}");
  scratch.Write("one.proto", "syntax = \"proto3\"; package std; service One {}");
  scratch.Write("two.proto", "syntax = \"proto3\"; package absl; service Two {}");
  const CommandResult result = scratch.Protoc("", {"one.proto", "good.proto", "two.proto"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.output, HasSubstr("one.proto:1:20: package \"std\""));
  EXPECT_THAT(result.output, HasSubstr("two.proto:1:20: package \"absl\""));
  EXPECT_THAT(scratch.ReadAll("out"), IsEmpty());
}

// A set of descriptors may come without its source: then there is no line to name.
TEST(Errors, OfASchemaWithoutSourceNameTheFile) {
  Scratch scratch;
  scratch.Write("elsewhere/bad.proto", "syntax = \"proto3\"; package std; service S {}");
  ASSERT_EQ(
      scratch.Run("/usr/bin/protoc -Ielsewhere --descriptor_set_out=bad.pb bad.proto").exit_code,
      0);
  const CommandResult result = scratch.Protoc("", {"--descriptor_set_in=bad.pb", "bad.proto"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.output,
              HasSubstr("bad.proto: package \"std\" is a C++ namespace that belongs to others"));
}

TEST(Errors, AServiceMayBeNamedLikeATypeOfAnotherPackage) {
  Scratch scratch;
  scratch.Write("other.proto", "syntax = \"proto3\"; package other; message A { message B {} }");
  scratch.Write("good.proto",
                "syntax = \"proto3\"; package p; import \"other.proto\"; service A_B {}");
  const CommandResult result = scratch.Protoc("", {"good.proto"});
  EXPECT_EQ(result.exit_code, 0) << result.output;
}

TEST(Errors, TypesOfImportedFilesOfThePackageCount) {
  Scratch scratch;
  scratch.Write("other.proto", "syntax = \"proto3\"; package p; message A { message B {} }");
  scratch.Write("way.proto", "syntax = \"proto3\"; package way; import public \"other.proto\";");
  scratch.Write("bad.proto",
                "syntax = \"proto3\";\npackage p;\nimport \"way.proto\";\nservice A_B {}");
  const CommandResult result = scratch.Protoc("", {"bad.proto"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(
      result.output,
      HasSubstr("bad.proto:4:9: service \"p.A_B\" would become C++ class \"A_B\", the name of type "
                "\"p.A.B\""));
}

}  // namespace
}  // namespace anywire::codegen
