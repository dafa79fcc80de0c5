// What the echo programs share: the loop that makes calls and what is told of it. So anywire, gRPC
// and hand-written sockets are measured by the same code.
#ifndef ANYWIRE_TESTS_BENCH_LOAD_H_
#define ANYWIRE_TESTS_BENCH_LOAD_H_

#include <cstdint>
#include <string>

namespace anywire::bench {

constexpr int kPayloadSize = 64;

struct ProcessUsage {
  uint64_t cpu_ns = 0;
  uint64_t allocations = 0;
};
// Of this process, up to now.
ProcessUsage OwnUsage();

// A connected client.
class EchoClient {
 public:
  virtual ~EchoClient() = default;
  // One blocking call of kPayloadSize bytes; ends the process with a message if it fails or the
  // reply is wrong.
  virtual void Echo() = 0;
  virtual ProcessUsage ServerUsage() = 0;
};

// Prints `message` and ends the process.
[[noreturn]] void Die(const std::string& message);

// For client programs: makes `calls` calls after a short warm-up and prints one line of JSON: times
// in microseconds, processor time and allocations per call of both sides. When `timed` is false, no
// clock is read between calls and no latencies are printed, so that instructions can be counted.
void RunLoad(EchoClient& client, int calls, bool timed);

// For server programs: says "ready" on stdout, then waits until stdin is closed. So no server
// outlives its driver.
void ServeUntilStdinCloses();

// The command line: "PROGRAM server URI", "PROGRAM client URI CALLS [untimed]"; URI is unix:///path
// or tcp://127.0.0.1:port.
struct Command {
  bool is_server = false;
  std::string uri;
  int calls = 0;
  bool timed = true;
};
Command ParseCommand(int argc, char** argv);

// Does what the command says: serves, or makes its calls with a `Client`, an EchoClient made of a
// URI.
template <typename Client>
void Run(const Command& command, void (*serve)(const std::string& uri)) {
  if (command.is_server) {
    serve(command.uri);
  } else {
    Client client(command.uri);
    RunLoad(client, command.calls, command.timed);
  }
}

}  // namespace anywire::bench

#endif  // ANYWIRE_TESTS_BENCH_LOAD_H_
