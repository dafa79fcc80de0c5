// The generated code of every case compiles, all in one program, and declares what it should. Its
// types are what is tested: calls are tested in tests/conformance.
#include <string>
#include <type_traits>
#include <utility>

#include "anywire/generated_support.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/golden/cases/collisions.anywire.h"
#include "tests/golden/cases/collisions.anywire.mock.h"
#include "tests/golden/cases/comments.anywire.h"
#include "tests/golden/cases/deprecated.anywire.h"
#include "tests/golden/cases/from_messages.anywire.h"
#include "tests/golden/cases/imports.anywire.h"
#include "tests/golden/cases/keywords.anywire.h"
#include "tests/golden/cases/keywords.anywire.mock.h"
#include "tests/golden/cases/large.anywire.h"
#include "tests/golden/cases/large.anywire.mock.h"
#include "tests/golden/cases/lite.anywire.h"
#include "tests/golden/cases/long_names.anywire.h"
#include "tests/golden/cases/long_names.anywire.mock.h"
#include "tests/golden/cases/namespaces.anywire.h"
#include "tests/golden/cases/no_package.anywire.h"
#include "tests/golden/cases/odd-file.name.anywire.h"
#include "tests/golden/cases/odd_file-name.anywire.h"
#include "tests/golden/cases/old_syntax.anywire.h"
#include "tests/golden/cases/optional_fields.anywire.h"
#include "tests/golden/cases/public_import.anywire.h"
#include "tests/golden/cases/shapes.anywire.h"
#include "tests/golden/cases/shapes.anywire.mock.h"

namespace anywire {

// What the functions are called on, and with; never defined.
struct Given {
  static const ::golden::shapes::Shapes::Stub stub;
  static const ::golden::shapes::Shapes::Stub::AsyncStub async_stub;
  static const ::golden::shapes::Request request;
};

namespace {

using ::golden::shapes::Empty;
using ::golden::shapes::MockShapesService;
using ::golden::shapes::MockShapesStub;
using ::golden::shapes::Reply;
using ::golden::shapes::Request;
using ::golden::shapes::Request_Part;
using ::golden::shapes::Shapes;
using ::testing::_;
using ::testing::Return;

template <typename Actual, typename Expected>
constexpr bool kIs = std::is_same_v<Actual, Expected>;

// Blocking.
static_assert(kIs<decltype(Given::stub.Unary(Given::request)), absl::StatusOr<Reply>>);
static_assert(kIs<decltype(Given::stub.Unary(Given::request, {.timeout = absl::Seconds(1)})),
                  absl::StatusOr<Reply>>);
static_assert(
    kIs<decltype(Given::stub.ServerStreaming(Given::request, CallOptions())), ClientReader<Reply>>);
static_assert(kIs<decltype(Given::stub.ClientStreaming()), ClientWriter<Request_Part, Reply>>);
static_assert(
    kIs<decltype(Given::stub.BothWays(CallOptions())), ClientReaderWriter<Request, Reply>>);

// For coroutines and callbacks.
static_assert(kIs<decltype(Given::stub.Async()), Shapes::Stub::AsyncStub>);
static_assert(kIs<decltype(Given::async_stub.Unary(Given::request)), UnaryCall<Request, Reply>>);
static_assert(
    kIs<decltype(Given::async_stub.Unary(Request(), CallOptions())), UnaryCall<Request, Reply>>);
static_assert(
    kIs<decltype(Given::async_stub.Unary(Given::request, [](absl::StatusOr<Reply>) {})), void>);
static_assert(kIs<decltype(Given::async_stub.Unary(Given::request, [](absl::StatusOr<Reply>) {},
                                                   {.inherit = false})),
                  void>);
static_assert(
    kIs<decltype(Given::async_stub.ServerStreaming(Given::request)), AsyncClientReader<Reply>>);
static_assert(
    kIs<decltype(Given::async_stub.ClientStreaming()), AsyncClientWriter<Request_Part, Reply>>);
static_assert(kIs<decltype(Given::async_stub.BothWays(CallOptions())),
                  AsyncClientReaderWriter<Request, Reply>>);

// An AsyncStub refers to its stub: a temporary stub gives none.
template <typename Stub>
concept GivesAsync = requires(Stub&& stub) {
  std::forward<Stub>(stub).Async();
};
static_assert(GivesAsync<Shapes::Stub&> && GivesAsync<const Shapes::Stub&>);
static_assert(!GivesAsync<Shapes::Stub> && !GivesAsync<const Shapes::Stub>);
static_assert(std::is_copy_constructible_v<Shapes::Stub> &&
              std::is_copy_assignable_v<Shapes::Stub>);
static_assert(!std::is_convertible_v<Channel, Shapes::Stub>);

// A call can be kept and moved, and is awaited once.
using Call = UnaryCall<Request, Reply>;
template <typename T>
concept Awaitable = requires(T&& call) {
  std::forward<T>(call).operator co_await();
};
static_assert(std::is_move_constructible_v<Call> && !std::is_copy_constructible_v<Call> &&
              Awaitable<Call> && !Awaitable<Call&>);

// Handlers.
static_assert(kIs<decltype(&Shapes::Service::Unary),
                  Task<absl::Status> (Shapes::Service::*)(ServerContext&, const Request&, Reply*)>);
static_assert(kIs<decltype(&Shapes::Service::ServerStreaming),
                  Task<absl::Status> (Shapes::Service::*)(ServerContext&, const Request&,
                                                          ServerWriter<Reply>&)>);
static_assert(kIs<decltype(&Shapes::Service::ClientStreaming),
                  Task<absl::Status> (Shapes::Service::*)(ServerContext&,
                                                          ServerReader<Request_Part>&, Reply*)>);
static_assert(kIs<decltype(&Shapes::Service::BothWays),
                  Task<absl::Status> (Shapes::Service::*)(ServerContext&,
                                                          ServerReaderWriter<Request, Reply>&)>);
static_assert(
    kIs<decltype(&Shapes::BlockingService::Unary),
        absl::Status (Shapes::BlockingService::*)(ServerContext&, const Request&, Reply*)>);
static_assert(kIs<decltype(&Shapes::BlockingService::ServerStreaming),
                  absl::Status (Shapes::BlockingService::*)(ServerContext&, const Request&,
                                                            BlockingServerWriter<Reply>&)>);
static_assert(kIs<decltype(&Shapes::BlockingService::ClientStreaming),
                  absl::Status (Shapes::BlockingService::*)(
                      ServerContext&, BlockingServerReader<Request_Part>&, Reply*)>);
static_assert(kIs<decltype(&Shapes::BlockingService::BothWays),
                  absl::Status (Shapes::BlockingService::*)(
                      ServerContext&, BlockingServerReaderWriter<Request, Reply>&)>);
static_assert(std::is_base_of_v<Service, Shapes::Service> &&
              std::is_base_of_v<Service, Shapes::BlockingService>);
static_assert(Shapes::service_full_name() == "golden.shapes.Shapes");

// Messages without reflection.
static_assert(!std::is_base_of_v<::google::protobuf::Message, ::golden::lite::Request>);
static_assert(kIs<decltype(std::declval<::golden::lite::Lite::Stub>().Ask(
                      std::declval<::golden::lite::Request>())),
                  absl::StatusOr<::golden::lite::Request>>);

// Types from everywhere.
namespace deep = ::golden::imports::deep::er;
static_assert(kIs<decltype(std::declval<deep::First::Stub>().Publicly(
                      std::declval<::golden::other::Shared>())),
                  absl::StatusOr<::golden::other::Shared_Inner_Innermost>>);
static_assert(kIs<decltype(std::declval<deep::First::Stub>().WellKnown(
                      std::declval<::google::protobuf::Empty>())),
                  absl::StatusOr<::google::protobuf::Empty>>);
static_assert(
    kIs<decltype(std::declval<deep::Second::Stub>().Nested(std::declval<deep::Own_Nested>())),
        absl::StatusOr<deep::Own>>);
static_assert(kIs<decltype(std::declval<deep::Second::Stub>().FromNoPackage()),
                  ClientReaderWriter<::Unpackaged, ::Unpackaged_Inner>>);
static_assert(kIs<decltype(std::declval<::TopLevel::Stub>().Call(std::declval<::Unpackaged>())),
                  absl::StatusOr<::Unpackaged_Inner>>);
static_assert(TopLevel::service_full_name() == "TopLevel");
static_assert(kIs<decltype(std::declval<::golden::old_syntax::OldSyntax::Stub>().Ask(
                      std::declval<::golden::old_syntax::Request>())),
                  absl::StatusOr<::golden::old_syntax::Request_Options>>);

// Names that C++ or the generated classes have for themselves.
namespace words = ::golden::keywords;
static_assert(
    kIs<decltype(std::declval<words::namespace_::Stub>().and_(std::declval<words::class_>())),
        absl::StatusOr<words::class__union>>);
static_assert(
    kIs<decltype(std::declval<words::namespace_::Stub>().xor_(std::declval<words::not_>())),
        ClientReader<words::not__eq>>);
static_assert(
    kIs<decltype(std::declval<words::Cpp20::Stub>().co_await_(std::declval<words::class_>())),
        absl::StatusOr<words::class_>>);
static_assert(
    kIs<decltype(std::declval<words::Macros::Stub>().assert_(std::declval<words::class_>())),
        absl::StatusOr<words::class_>>);
static_assert(words::concept_::service_full_name() == "golden.keywords.concept");
namespace taken = ::golden::collisions;
static_assert(
    kIs<decltype(std::declval<taken::Members::Stub>().Async_(std::declval<taken::Channel>())),
        absl::StatusOr<taken::Task>>);
static_assert(
    kIs<decltype(std::declval<taken::Service_::Stub>().Get(std::declval<taken::Channel>())),
        absl::StatusOr<taken::Task>>);
static_assert(
    kIs<decltype(std::declval<taken::Mentioned::Stub>().Status(std::declval<taken::Status>())),
        absl::StatusOr<taken::Status>>);
static_assert(taken::Stub_::service_full_name() == "golden.collisions.Stub");
static_assert(kIs<decltype(std::declval<::golden::anywire::absl::google::absl::Stub>().anywire()),
                  ClientReaderWriter<::golden::anywire::absl::google::Message,
                                     ::golden::anywire::absl::google::Message>>);

TEST(Generated, MethodsKeepTheSchemasNames) {
  taken::Members::Service service;
  EXPECT_EQ(service.service_name(), "golden.collisions.Members");
  words::namespace_::BlockingService blocking;
  EXPECT_EQ(blocking.service_name(), "golden.keywords.namespace");
  Empty::Service empty;
  EXPECT_EQ(empty.service_name(), "golden.shapes.Empty");
}

// A program that uses stubs by their interface is tested without a channel.
std::string Ask(const Shapes::StubInterface& stub) {
  absl::StatusOr<Reply> reply = stub.Unary(Request());
  return reply.ok() ? reply->message() : reply.status().ToString();
}

TEST(Generated, AMockTakesTheStubsPlace) {
  MockShapesStub mock;
  Reply reply;
  reply.set_message("mocked");
  EXPECT_CALL(mock, Unary(_, _))
      .WillOnce(Return(reply))
      .WillOnce(Return(absl::UnavailableError("gone")));
  EXPECT_EQ(Ask(mock), "mocked");
  EXPECT_EQ(Ask(mock), "UNAVAILABLE: gone");
}

TEST(Generated, AMockIsAService) {
  MockShapesService mock;
  EXPECT_EQ(mock.service_name(), "golden.shapes.Shapes");
  static_assert(std::is_base_of_v<Shapes::BlockingService, MockShapesService>);
}

// To use what is deprecated is an error here (-Werror): these lines are the test that generated
// code does not.
class OldService final : public ::golden::deprecated::PartlyOld::Service {
 public:
  Task<absl::Status> Unary(ServerContext&, const ::golden::deprecated::Old&,
                           ::golden::deprecated::Old*) override {
    co_return absl::OkStatus();
  }
};

TEST(Generated, ImplementingADeprecatedMethodWarnsNobody) {
  OldService service;
  EXPECT_EQ(service.service_name(), "golden.deprecated.PartlyOld");
}

}  // namespace
}  // namespace anywire
