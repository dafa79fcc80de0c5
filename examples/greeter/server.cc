#include "anywire/server.h"

#include "anywire/runtime.h"
#include "examples/greeter/greeter.anywire.h"

class GreeterService final : public greeter::Greeter::Service {
  anywire::Task<absl::Status> SayHello(anywire::ServerContext&,
                                       const greeter::HelloRequest& request,
                                       greeter::HelloReply* reply) override {
    reply->set_message("Hello " + request.name());
    co_return absl::OkStatus();
  }
};

int main(int argc, char** argv) {
  anywire::Init(argc, argv);
  GreeterService service;
  anywire::Server server("greeter");  // listens where the configuration says
  server.AddService(&service);
  return server.Run();  // until SIGTERM, then lets running calls finish
}
