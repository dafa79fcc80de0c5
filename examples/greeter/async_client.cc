// The same call without a thread that waits for it: awaited by a coroutine, and with a callback.
#include <iostream>

#include "absl/synchronization/blocking_counter.h"
#include "anywire/runtime.h"
#include "examples/greeter/greeter.anywire.h"

using greeter::Greeter;
using greeter::HelloReply;
using greeter::HelloRequest;

HelloRequest From(const char* name) {
  HelloRequest request;
  request.set_name(name);
  return request;
}

void Print(const absl::StatusOr<HelloReply>& reply) {
  std::cout << (reply.ok() ? reply->message() : reply.status().ToString()) << std::endl;
}

// Runs on the calling thread up to its first co_await, and from there on a thread of the runtime.
anywire::Task<void> GreetTwice(const Greeter::Stub& stub, absl::BlockingCounter& running) {
  for (const char* name : {"coroutine", "again"}) {
    Print(co_await stub.Async().SayHello(From(name), {.timeout = absl::Seconds(5)}));
  }
  running.DecrementCount();
}

int main(int argc, char** argv) {
  anywire::Init(argc, argv);
  const Greeter::Stub stub(anywire::Channel("greeter"));
  absl::BlockingCounter running(2);

  anywire::Spawn(GreetTwice(stub, running));

  stub.Async().SayHello(From("callback"),
                        [&running](const absl::StatusOr<HelloReply>& reply) {
                          Print(reply);
                          running.DecrementCount();
                        },
                        {.timeout = absl::Seconds(5)});

  running.Wait();
}
