// The RPC-level conformance suite: what anywire promises its users, over every transport of a
// registry.
//
// A transport that lives elsewhere is tested by a program of its own, linked with
// //tests/conformance:rpc_suite (examples/own_transport/packet_rpc_test.cc is one):
//
//   anywire::TransportRegistry MakeRegistry() { ... registry.Register(MakeMyTransport()) ... }
//   int main(int argc, char** argv) {
//     return anywire::test::RunRpcSuite(argc, argv, MakeRegistry, {});
//   }
#ifndef ANYWIRE_TESTS_CONFORMANCE_RPC_SUITE_H_
#define ANYWIRE_TESTS_CONFORMANCE_RPC_SUITE_H_

#include <string>
#include <vector>

#include "anywire/registry.h"

namespace anywire::test {

// What some transports are excused from, or run beyond the others. A scheme that should be named
// here and is not fails.
struct RpcSuiteOptions {
  // Those that by their nature reach no other process: left out where a case needs two.
  std::vector<std::string> in_process_schemes = {};
  // Those that read and write no stream sockets or pipes, so that there is nothing to cut in
  // pieces: left out with the handicap `one_byte`.
  std::vector<std::string> schemes_without_streams = {};
  // Not excused: those that send UDP datagrams to the "host:port" of their addresses. They run
  // behind a relay, too, with the handicap `lossy`.
  std::vector<std::string> datagram_schemes = {};
};

// Runs all cases that are linked in, on every transport of the registry that `make_registry` makes
// (again and again: each call gives a new one). Returns what main should; a registry without
// transports and a program without cases are failures.
int RunRpcSuite(int argc, char** argv, TransportRegistry (*make_registry)(),
                const RpcSuiteOptions& options);

}  // namespace anywire::test

#endif  // ANYWIRE_TESTS_CONFORMANCE_RPC_SUITE_H_
