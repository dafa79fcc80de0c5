// Another process of this same program: a peer that can be killed.
#ifndef ANYWIRE_TESTS_SUPPORT_CHILD_PROCESS_H_
#define ANYWIRE_TESTS_SUPPORT_CHILD_PROCESS_H_

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace anywire::test {

// Dies with its parent at the latest.
class ChildProcess {
 public:
  // Runs `program` with `arguments` (without the name) and, in addition to this process's, the
  // `environment` ("NAME=value").
  ChildProcess(const std::string& program, const std::vector<std::string>& arguments,
               const std::vector<std::string>& environment = {});
  // Kills it if it still runs.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }
  void Signal(int signal) const;
  // The next line of its standard output, without the newline; OUT_OF_RANGE when it has ended its
  // output.
  absl::StatusOr<std::string> ReadLine();
  // All that it still writes to its standard output, to the end.
  std::string ReadRest();
  // One line to its standard input.
  void WriteLine(const std::string& line);
  // Waits for its end: the exit code, or 128 + the signal that ended it.
  int Wait();

  // The program that is running.
  static std::string Self();
  // That program once more, which has written the line "ready".
  static std::unique_ptr<ChildProcess> StartSelf(const std::vector<std::string>& arguments);

 private:
  pid_t pid_ = -1;
  int input_ = -1;
  int output_ = -1;
  std::string buffered_;
};

}  // namespace anywire::test

#endif  // ANYWIRE_TESTS_SUPPORT_CHILD_PROCESS_H_
