#include "tests/support/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>

namespace anywire::test {
namespace {

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& string : strings) pointers.push_back(const_cast<char*>(string.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

ChildProcess::ChildProcess(const std::string& program, const std::vector<std::string>& arguments,
                           const std::vector<std::string>& environment) {
  std::vector<std::string> words = {program};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<std::string> variables = environment;  // the first of a name is the one that counts
  for (char** variable = environ; *variable != nullptr; ++variable) variables.push_back(*variable);
  const std::vector<char*> argv = Pointers(words);
  const std::vector<char*> envp = Pointers(variables);

  int input[2];
  int output[2];
  if (pipe2(input, O_CLOEXEC) != 0 || pipe2(output, O_CLOEXEC) != 0) std::abort();
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ < 0) std::abort();
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) _exit(127);
    dup2(input[0], STDIN_FILENO);
    dup2(output[1], STDOUT_FILENO);
    execve(program.c_str(), argv.data(), envp.data());
    _exit(127);
  }
  close(input[0]);
  close(output[1]);
  input_ = input[1];
  output_ = output[0];
}

ChildProcess::~ChildProcess() {
  if (pid_ > 0) {
    Signal(SIGKILL);
    Wait();
  }
  close(input_);
  close(output_);
}

void ChildProcess::Signal(int signal) const { kill(pid_, signal); }

absl::StatusOr<std::string> ChildProcess::ReadLine() {
  for (;;) {
    if (const size_t newline = buffered_.find('\n'); newline != std::string::npos) {
      std::string line = buffered_.substr(0, newline);
      buffered_.erase(0, newline + 1);
      return line;
    }
    char bytes[4096];
    const ssize_t got = read(output_, bytes, sizeof(bytes));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return absl::OutOfRangeError("the process has ended its output");
    buffered_.append(bytes, got);
  }
}

std::string ChildProcess::ReadRest() {
  std::string rest;
  for (absl::StatusOr<std::string> line = ReadLine(); line.ok(); line = ReadLine()) {
    rest += *line + "\n";
  }
  rest += buffered_;
  buffered_.clear();
  return rest;
}

void ChildProcess::WriteLine(const std::string& line) {
  const std::string bytes = line + "\n";
  for (size_t written = 0; written < bytes.size();) {
    const ssize_t more = write(input_, bytes.data() + written, bytes.size() - written);
    if (more < 0 && errno != EINTR) return;  // it is gone; whoever waits for its answer will see it
    if (more > 0) written += more;
  }
}

int ChildProcess::Wait() {
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

std::string ChildProcess::Self() {
  char path[PATH_MAX] = {};
  if (readlink("/proc/self/exe", path, sizeof(path) - 1) <= 0) std::abort();
  return path;
}

std::unique_ptr<ChildProcess> ChildProcess::StartSelf(const std::vector<std::string>& arguments) {
  auto child = std::make_unique<ChildProcess>(Self(), arguments);
  const std::string line = child->ReadLine().value_or("nothing");
  if (line != "ready") {
    std::fprintf(stderr, "a child process said \"%s\" instead of being ready\n", line.c_str());
    std::abort();
  }
  return child;
}

}  // namespace anywire::test
