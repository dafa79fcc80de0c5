#include "tests/conformance/rpc_suite.h"

#include <utility>

#include "gtest/gtest.h"
#include "tests/conformance/peer.h"
#include "tests/conformance/setting.h"

namespace anywire::test {

int RunRpcSuite(int argc, char** argv, TransportRegistry (*make_registry)(),
                std::vector<std::string> in_process_schemes) {
  SetRegistryFactory(make_registry);
  SetInProcessSchemes(std::move(in_process_schemes));
  if (IsPeer(argc, argv)) return RunPeer(argc, argv);
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}

}  // namespace anywire::test
