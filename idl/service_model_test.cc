#include "idl/service_model.h"

#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "google/protobuf/compiler/parser.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/descriptor.pb.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "gtest/gtest.h"
#include "idl/options.pb.h"

namespace anywire::idl {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class ServiceModelTest : public testing::Test {
 protected:
  // The pool also has descriptor.proto and options.proto.
  ServiceModelTest() : pool_(google::protobuf::DescriptorPool::generated_pool()) {
    anywire::MethodOptions::descriptor();
  }

  File Build(const std::string& text) {
    google::protobuf::FileDescriptorProto proto;
    google::protobuf::io::ArrayInputStream input(text.data(), static_cast<int>(text.size()));
    google::protobuf::io::Tokenizer tokenizer(&input, nullptr);
    EXPECT_TRUE(google::protobuf::compiler::Parser().Parse(&tokenizer, &proto));
    proto.set_name("test.proto");
    const google::protobuf::FileDescriptor* file = pool_.BuildFile(proto);
    EXPECT_NE(file, nullptr);
    return file == nullptr ? File() : BuildFile(*file, problems_);
  }
  std::vector<std::string> Problems() const {
    std::vector<std::string> texts;
    for (const Problem& problem : problems_) texts.push_back(problem.ToString());
    return texts;
  }

  google::protobuf::DescriptorPool pool_;
  std::vector<Problem> problems_;
};

TEST_F(ServiceModelTest, NamesAndShapes) {
  const File file = Build(R"(syntax = "proto3";
package a.b;
message Q { message In { message Deep {} } }
service One {
  rpc U(Q) returns (Q.In.Deep);
  rpc S(Q) returns (stream Q);
  rpc C(stream Q.In) returns (Q);
  rpc B(stream Q) returns (stream Q);
}
service Two {}
)");
  EXPECT_THAT(Problems(), IsEmpty());
  EXPECT_EQ(file.path, "test.proto");
  EXPECT_EQ(file.package, "a.b");
  EXPECT_EQ(file.package_location.line, 2);
  ASSERT_EQ(file.services.size(), 2u);
  EXPECT_EQ(file.services[1].full_name, "a.b.Two");
  const Service& one = file.services[0];
  EXPECT_EQ(one.location.line, 4);
  EXPECT_EQ(one.location.column, 9);
  ASSERT_EQ(one.methods.size(), 4u);
  EXPECT_EQ(one.methods[0].shape, CallShape::kUnary);
  EXPECT_EQ(one.methods[1].shape, CallShape::kServerStreaming);
  EXPECT_EQ(one.methods[2].shape, CallShape::kClientStreaming);
  EXPECT_EQ(one.methods[3].shape, CallShape::kBidiStreaming);
  EXPECT_EQ(one.methods[0].reply.package, "a.b");
  EXPECT_THAT(one.methods[0].reply.path, ElementsAre("Q", "In", "Deep"));
  EXPECT_EQ(one.methods[0].reply.FullName(), "a.b.Q.In.Deep");
  EXPECT_EQ(one.methods[2].location.line, 7);
  EXPECT_EQ(one.methods[2].location.column, 7);
}

TEST_F(ServiceModelTest, CommentsAndDeprecation) {
  const File file = Build(R"(syntax = "proto3";
message Q {}
// Of the service.
service S {  // Behind it.
  option deprecated = true;

  // Detached.

  // Of the method.
  rpc M(Q) returns (Q) {  // Behind the method.
    option deprecated = true;
  }

  rpc N(Q) returns (Q);
}
)");
  ASSERT_EQ(file.services.size(), 1u);
  const Service& service = file.services[0];
  EXPECT_TRUE(service.deprecated);
  EXPECT_EQ(service.comment.leading, " Of the service.\n");
  EXPECT_EQ(service.comment.trailing, " Behind it.\n");
  EXPECT_TRUE(service.methods[0].deprecated);
  EXPECT_EQ(service.methods[0].comment.leading, " Of the method.\n");
  EXPECT_EQ(service.methods[0].comment.trailing, " Behind the method.\n");
  EXPECT_FALSE(service.methods[1].deprecated);
  EXPECT_EQ(service.methods[1].comment.leading, "");
}

TEST_F(ServiceModelTest, TypesOfThePackage) {
  const File file = Build(R"(syntax = "proto3";
package p;
message Q { enum E { Z = 0; } message In {} }
enum F { Y = 0; }
)");
  std::vector<std::string> names;
  for (const TypeName& type : file.package_types) names.push_back(type.FullName());
  EXPECT_THAT(names, ElementsAre("p.Q", "p.Q.In", "p.Q.E", "p.F"));
}

TEST_F(ServiceModelTest, DefaultTimeouts) {
  const File file = Build(R"(syntax = "proto3";
import "idl/options.proto";
message Q {}
service S {
  option (anywire.service).default_timeout = "2s";
  rpc Service(Q) returns (Q);
  rpc Own(Q) returns (Q) { option (anywire.method).default_timeout = "1ms"; }
  rpc None(Q) returns (Q) { option (anywire.method).default_timeout = "inf"; }
}
service T { rpc Unsaid(Q) returns (Q); }
)");
  EXPECT_THAT(Problems(), IsEmpty());
  EXPECT_EQ(file.services[0].methods[0].default_timeout, absl::Seconds(2));
  EXPECT_EQ(file.services[0].methods[1].default_timeout, absl::Milliseconds(1));
  EXPECT_EQ(file.services[0].methods[2].default_timeout, absl::InfiniteDuration());
  EXPECT_EQ(file.services[1].methods[0].default_timeout, std::nullopt);
}

TEST_F(ServiceModelTest, TimeoutsThatAreNone) {
  Build(R"(syntax = "proto3";
import "idl/options.proto";
message Q {}
service S {
  option (anywire.service).default_timeout = "soon";
  rpc A(Q) returns (Q) { option (anywire.method).default_timeout = "999us"; }
  rpc B(Q) returns (Q) { option (anywire.method).default_timeout = "-inf"; }
  rpc C(Q) returns (Q) { option (anywire.method).default_timeout = "5"; }
  rpc D(Q) returns (Q) { option (anywire.method).default_timeout = ""; }
}
)");
  ASSERT_EQ(problems_.size(), 5u);
  EXPECT_EQ(problems_[0].text,
            "default_timeout \"soon\" is not a duration: write a number with a unit, as \"250ms\", "
            "\"1.5s\" or \"1h30m\", "
            "or \"inf\"");
  EXPECT_EQ(problems_[1].text, "default_timeout \"999us\" is too short: the least is \"1ms\"");
  EXPECT_EQ(problems_[2].text, "default_timeout \"-inf\" is too short: the least is \"1ms\"");
  EXPECT_EQ(problems_[1].where.line, 6);
}

TEST_F(ServiceModelTest, GenericServices) {
  EXPECT_FALSE(Build("syntax = \"proto2\";").generic_services);
  google::protobuf::FileDescriptorProto proto;
  proto.set_name("generic.proto");
  proto.mutable_options()->set_cc_generic_services(true);
  const File file = BuildFile(*pool_.BuildFile(proto), problems_);
  ASSERT_TRUE(file.generic_services);
  EXPECT_EQ(file.generic_services->line, 0);  // a descriptor without source
}

TEST(Problem, NamesThePlaceAsProtocDoes) {
  EXPECT_EQ((Problem{{"a.proto", 12, 3}, "bad"}).ToString(), "a.proto:12:3: bad");
  EXPECT_EQ((Problem{{"a.proto", 0, 0}, "bad"}).ToString(), "a.proto: bad");
}

}  // namespace
}  // namespace anywire::idl
