#include "tests/support/own_loopback.h"

#include <unistd.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace anywire::test {

std::string OnOwnLoopback(absl::string_view address) {
  constexpr absl::string_view kShared = "127.0.0.1:";
  if (!absl::StartsWith(address, kShared)) return std::string(address);
  // Ids have 22 bits (proc(5), pid_max). 127.0.x.y is left to tests that name an address.
  const auto id = static_cast<unsigned>(getpid());
  return absl::StrCat("127.", 1 + (id >> 16) % 64, ".", (id >> 8) % 256, ".", id % 256, ":",
                      address.substr(kShared.size()));
}

}  // namespace anywire::test
