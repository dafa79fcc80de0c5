#include "tests/support/temp_dir.h"

#include <cstdlib>
#include <filesystem>
#include <system_error>

namespace anywire::test {

TempDir::TempDir() {
  char path[] = "/tmp/anywire.XXXXXX";
  if (mkdtemp(path) == nullptr) std::abort();
  path_ = path;
}

TempDir::~TempDir() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace anywire::test
