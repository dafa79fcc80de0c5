// A loopback address of the process's own.
#ifndef ANYWIRE_TESTS_SUPPORT_OWN_LOOPBACK_H_
#define ANYWIRE_TESTS_SUPPORT_OWN_LOOPBACK_H_

#include <string>

#include "absl/strings/string_view.h"

namespace anywire::test {

// "127.0.0.1:0" at an address of 127.0.0.0/8 that this process alone uses, as far as ids of
// processes go; other addresses as they are. For tests that give a port up and listen there again:
// the ports of 127.0.0.1 are shared with all that runs beside them, and one that comes free may be
// taken at once.
std::string OnOwnLoopback(absl::string_view address);

}  // namespace anywire::test

#endif  // ANYWIRE_TESTS_SUPPORT_OWN_LOOPBACK_H_
