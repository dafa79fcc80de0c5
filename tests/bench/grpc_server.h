// The services of bench.proto with gRPC's two server APIs.
#ifndef ANYWIRE_TESTS_BENCH_GRPC_SERVER_H_
#define ANYWIRE_TESTS_BENCH_GRPC_SERVER_H_

#include <grpcpp/grpcpp.h>

#include <memory>

namespace anywire::bench {

// A pair of services of one API; outlives the server that they are registered with.
class GrpcServices {
 public:
  virtual ~GrpcServices() = default;
  virtual void Register(grpc::ServerBuilder& builder) = 0;
};

// Handlers that block a thread each.
std::unique_ptr<GrpcServices> MakeSyncGrpcServices();
// Handlers that react to events.
std::unique_ptr<GrpcServices> MakeCallbackGrpcServices();

}  // namespace anywire::bench

#endif  // ANYWIRE_TESTS_BENCH_GRPC_SERVER_H_
