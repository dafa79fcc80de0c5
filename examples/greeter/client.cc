#include <iostream>

#include "anywire/runtime.h"
#include "examples/greeter/greeter.anywire.h"

int main(int argc, char** argv) {
  anywire::Init(argc, argv);
  const greeter::Greeter::Stub stub(anywire::Channel("greeter"));  // connects where it says
  greeter::HelloRequest request;
  request.set_name(argc > 1 ? argv[1] : "world");
  const absl::StatusOr<greeter::HelloReply> reply =
      stub.SayHello(request, {.timeout = absl::Seconds(5)});
  if (!reply.ok()) {
    std::cerr << reply.status() << "\n";
    return 1;
  }
  std::cout << reply->message() << "\n";
}
