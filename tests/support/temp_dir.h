// A folder for one test, removed with all that is in it. Its path is short: a Unix socket's path
// has 107 bytes at most.
#ifndef ANYWIRE_TESTS_SUPPORT_TEMP_DIR_H_
#define ANYWIRE_TESTS_SUPPORT_TEMP_DIR_H_

#include <string>

namespace anywire::test {

class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace anywire::test

#endif  // ANYWIRE_TESTS_SUPPORT_TEMP_DIR_H_
