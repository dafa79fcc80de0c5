#include "codegen/names.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "google/protobuf/compiler/cpp/names.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"
#include "gtest/gtest.h"

namespace anywire::codegen {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Every keyword and alternative token of C++20, words that look like them, and ordinary names.
const std::vector<std::string>& Words() {
  static const auto& words = *new std::vector<std::string>{
      "NULL",
      "alignas",
      "alignof",
      "and",
      "and_eq",
      "asm",
      "assert",
      "auto",
      "bitand",
      "bitor",
      "bool",
      "break",
      "case",
      "catch",
      "char",
      "char16_t",
      "char32_t",
      "char8_t",
      "class",
      "co_await",
      "co_return",
      "co_yield",
      "compl",
      "concept",
      "const",
      "const_cast",
      "consteval",
      "constexpr",
      "constinit",
      "continue",
      "decltype",
      "default",
      "delete",
      "do",
      "double",
      "dynamic_cast",
      "else",
      "enum",
      "explicit",
      "export",
      "extern",
      "false",
      "final",
      "float",
      "for",
      "friend",
      "goto",
      "if",
      "import",
      "inline",
      "int",
      "long",
      "module",
      "mutable",
      "namespace",
      "new",
      "noexcept",
      "not",
      "not_eq",
      "nullptr",
      "operator",
      "or",
      "or_eq",
      "override",
      "private",
      "protected",
      "public",
      "register",
      "reinterpret_cast",
      "requires",
      "return",
      "short",
      "signed",
      "sizeof",
      "static",
      "static_assert",
      "static_cast",
      "struct",
      "switch",
      "template",
      "this",
      "thread_local",
      "throw",
      "true",
      "try",
      "typedef",
      "typeid",
      "typename",
      "union",
      "unsigned",
      "using",
      "virtual",
      "void",
      "volatile",
      "wchar_t",
      "while",
      "xor",
      "xor_eq",
      "EOF",
      "Message",
      "lower",
      "_x",
      "x_",
      "int_",
  };
  return words;
}

// One message of each name, each with one nested message of each name.
google::protobuf::FileDescriptorProto AllNames(const std::string& package) {
  google::protobuf::FileDescriptorProto file;
  file.set_name("all.proto");
  file.set_package(package);
  for (const std::string& outer : Words()) {
    google::protobuf::DescriptorProto* message = file.add_message_type();
    message->set_name(outer);
    for (const std::string& inner : Words()) message->add_nested_type()->set_name(inner);
  }
  return file;
}

TEST(MessageClass, IsWhatProtobufCallsIt) {
  namespace cpp = google::protobuf::compiler::cpp;
  for (const std::string package : {"", "one", "one.two.three"}) {
    google::protobuf::DescriptorPool pool;
    const google::protobuf::FileDescriptor* file = pool.BuildFile(AllNames(package));
    ASSERT_NE(file, nullptr);
    for (int i = 0; i < file->message_type_count(); ++i) {
      const google::protobuf::Descriptor& outer = *file->message_type(i);
      EXPECT_EQ(MessageClass({package, {outer.name()}}), cpp::QualifiedClassName(&outer));
      for (int j = 0; j < outer.nested_type_count(); ++j) {
        const google::protobuf::Descriptor& inner = *outer.nested_type(j);
        EXPECT_EQ(MessageClass({package, {outer.name(), inner.name()}}),
                  cpp::QualifiedClassName(&inner));
      }
    }
  }
}

TEST(Paths, AreThoseOfProtobufWithOtherEndings) {
  EXPECT_EQ(HeaderPath("foo/bar.proto"), "foo/bar.anywire.h");
  EXPECT_EQ(SourcePath("foo/bar.proto"), "foo/bar.anywire.cc");
  EXPECT_EQ(MockHeaderPath("foo/bar.proto"), "foo/bar.anywire.mock.h");
  for (const std::string path :
       {"bar.proto", "a/b.c.proto", "old.protodevel", "none", "x.proto.proto"}) {
    EXPECT_EQ(MessageHeaderPath(path), google::protobuf::compiler::cpp::StripProto(path) + ".pb.h");
  }
}

TEST(IncludeGuard, IsAnotherForEveryPath) {
  EXPECT_EQ(IncludeGuard("a/b.h"), "ANYWIRE_GENERATED_a_2fb_2eh");
  EXPECT_NE(IncludeGuard("a-b.h"), IncludeGuard("a_b.h"));
  EXPECT_NE(IncludeGuard("a_2db.h"), IncludeGuard("a-b.h"));
  EXPECT_EQ(IncludeGuard("é"), "ANYWIRE_GENERATED__c3_a9");
}

TEST(ServiceClass, AvoidsWordsOfCppAndItsOwnMembers) {
  const auto named = [](const std::string& name) {
    idl::Service service;
    service.name = name;
    return ServiceClass(service);
  };
  EXPECT_EQ(named("Greeter"), "Greeter");
  for (const std::string name :
       {"class", "concept", "and", "NULL", "errno", "Stub", "StubInterface", "Service",
        "BlockingService", "service_full_name", "kMethods"}) {
    EXPECT_EQ(named(name), name + "_");
  }
  for (const std::string name : {"Async", "Bind", "AsyncStub", "final"})
    EXPECT_EQ(named(name), name);
}

TEST(MethodFunction, AvoidsWordsOfCppAndMembersOfStubsAndServices) {
  const auto named = [](const std::string& name) {
    idl::Method method;
    method.name = name;
    return MethodFunction(method);
  };
  EXPECT_EQ(named("SayHello"), "SayHello");
  for (const std::string name : {"delete", "co_await", "xor", "EOF", "Stub", "AsyncStub",
                                 "StubInterface", "Async", "Bind", "Service", "BlockingService",
                                 "service_name", "service_full_name", "channel_", "kMethods"}) {
    EXPECT_EQ(named(name), name + "_");
  }
  for (const std::string name : {"Call", "override", "request", "std"})
    EXPECT_EQ(named(name), name);
}

// Without keyword_package the file is fine.
idl::File SmallFile() {
  idl::File file;
  file.path = "small.proto";
  file.package = "small";
  idl::Service service;
  service.name = "Small";
  service.full_name = "small.Small";
  file.services.push_back(service);
  return file;
}

std::vector<std::string> ProblemsOf(const idl::File& file, bool mock = false) {
  std::vector<idl::Problem> problems;
  CheckNames(file, mock, problems);
  std::vector<std::string> texts;
  for (const idl::Problem& problem : problems) texts.push_back(problem.ToString());
  return texts;
}

TEST(CheckNames, PassesAnOrdinaryFile) {
  EXPECT_THAT(ProblemsOf(SmallFile()), IsEmpty());
  EXPECT_THAT(ProblemsOf(SmallFile(), /*mock=*/true), IsEmpty());
}

TEST(CheckNames, AsksNothingOfAFileWithoutServices) {
  idl::File file = SmallFile();
  file.services.clear();
  file.package = "std.class";
  EXPECT_THAT(ProblemsOf(file), IsEmpty());
}

// The schema is one that protoc passes; what it makes of it is checked in tests/golden.
TEST(CheckNames, FindsMocksInTheWay) {
  idl::File file = SmallFile();
  idl::Service mock = file.services[0];
  mock.name = "MockSmallStub";
  mock.full_name = "small.MockSmallStub";
  mock.location = {.file = "small.proto", .line = 7, .column = 9};
  file.services.push_back(mock);
  EXPECT_THAT(ProblemsOf(file), IsEmpty());
  EXPECT_THAT(ProblemsOf(file, /*mock=*/true),
              ElementsAre("small.proto:7:9: service \"small.MockSmallStub\" would become C++ class "
                          "\"MockSmallStub\", the "
                          "name of service \"small.Small\""));
}

TEST(CheckNames, ReportsWithoutALineWhenThereIsNoSource) {
  idl::File file = SmallFile();
  file.package = "std";
  file.package_location = {.file = "small.proto"};
  EXPECT_THAT(ProblemsOf(file),
              ElementsAre("small.proto: package \"std\" is a C++ namespace that belongs to others: "
                          "services need one of their own"));
}

}  // namespace
}  // namespace anywire::codegen
