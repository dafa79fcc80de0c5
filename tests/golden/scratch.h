// A directory to run the compiler in: protoc with our plugin, or the C++ compiler.
#ifndef ANYWIRE_TESTS_GOLDEN_SCRATCH_H_
#define ANYWIRE_TESTS_GOLDEN_SCRATCH_H_

#include <map>
#include <string>
#include <vector>

namespace anywire::codegen {

struct CommandResult {
  int exit_code = 0;
  std::string output;  // both streams
};

// Empty at first; belongs to the running test.
class Scratch {
 public:
  Scratch();

  void Write(const std::string& path, const std::string& text);
  std::string Read(const std::string& path) const;
  // Every file below `directory`, by its path there.
  std::map<std::string, std::string> ReadAll(const std::string& directory) const;
  // Runs a shell command here. Takes at most a minute.
  CommandResult Run(const std::string& command) const;
  // Runs protoc here, as in `protoc --anywire_out=parameter:out files...`; imports are found here
  // and in the repository.
  CommandResult Protoc(const std::string& parameter, const std::vector<std::string>& files,
                       const std::string& out = "out") const;

 private:
  std::string directory_;
  std::string repository_;
};

}  // namespace anywire::codegen

#endif  // ANYWIRE_TESTS_GOLDEN_SCRATCH_H_
