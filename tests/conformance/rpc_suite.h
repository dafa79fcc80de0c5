// The RPC-level conformance suite: what anywire promises its users, over every transport of a
// registry.
//
// A transport that lives elsewhere is tested by a program of its own, linked with
// //tests/conformance:rpc_suite:
//
//   anywire::TransportRegistry MakeRegistry() { ... registry.Register(MakeMyTransport()) ... }
//   int main(int argc, char** argv) { return anywire::test::RunRpcSuite(argc, argv, MakeRegistry);
//   }
#ifndef ANYWIRE_TESTS_CONFORMANCE_RPC_SUITE_H_
#define ANYWIRE_TESTS_CONFORMANCE_RPC_SUITE_H_

#include <string>
#include <vector>

#include "anywire/registry.h"

namespace anywire::test {

// Runs all cases that are linked in, on every transport of the registry that `make_registry` makes
// (again and again: each call gives a new one). `in_process_schemes` are those that by their nature
// reach no other process; they are left out where a case needs two processes. Returns what main
// should.
int RunRpcSuite(int argc, char** argv, TransportRegistry (*make_registry)(),
                std::vector<std::string> in_process_schemes = {});

}  // namespace anywire::test

#endif  // ANYWIRE_TESTS_CONFORMANCE_RPC_SUITE_H_
