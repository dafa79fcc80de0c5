#include "tests/conformance/rpc_suite.h"

#include <cstdio>

#include "gtest/gtest.h"
#include "tests/conformance/peer.h"
#include "tests/conformance/setting.h"

namespace anywire::test {

int RunRpcSuite(int argc, char** argv, TransportRegistry (*make_registry)(),
                const RpcSuiteOptions& options) {
  SetRegistryFactory(make_registry);
  SetSuiteOptions(options);
  if (IsPeer(argc, argv)) return RunPeer(argc, argv);
  ::testing::InitGoogleTest(&argc, argv);
  // Nothing to run would pass.
  if (make_registry().transports().empty()) {
    std::fputs("the registry has no transport to run the suite on\n", stderr);
    return 1;
  }
  if (::testing::UnitTest::GetInstance()->total_test_count() == 0) {
    std::fputs("no conformance cases are linked in\n", stderr);
    return 1;
  }
  return RUN_ALL_TESTS();
}

}  // namespace anywire::test
