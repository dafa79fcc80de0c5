// What a process has open: descriptors and threads. A test that leaves one behind has found a leak.
#ifndef ANYWIRE_TESTS_SUPPORT_CENSUS_H_
#define ANYWIRE_TESTS_SUPPORT_CENSUS_H_

#include <cstddef>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace anywire::test {

class Census {
 public:
  // Counts now.
  Census();

  // How many descriptors this process has open now.
  static size_t OpenDescriptors() { return Descriptors().size(); }

  // OK once there is no more than at the construction. What has been told to end may take a moment
  // to be gone from the kernel's tables, so this looks again for as long as `patience`; then the
  // error names what is left.
  absl::Status BackToBaseline(absl::Duration patience = absl::Seconds(30)) const;

 private:
  static std::map<int, std::string> Descriptors();
  static std::map<int, std::string> Threads();
  absl::Status Compare() const;

  std::map<int, std::string> descriptors_;
  std::map<int, std::string> threads_;
};

}  // namespace anywire::test

#endif  // ANYWIRE_TESTS_SUPPORT_CENSUS_H_
