#include "tests/bench/program.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "tests/bench/load.h"
#include "tests/bench/usage.h"

namespace anywire::bench {

void Die(const std::string& message) {
  fprintf(stderr, "%s: %s\n", program_invocation_short_name, message.c_str());
  // Not exit: other threads may be in the middle of anything.
  _exit(1);
}

void Parameters::Add(const std::string& word) {
  const size_t middle = word.find('=');
  if (middle == std::string::npos || middle == 0) Die("not KEY=VALUE: " + word);
  values_[word.substr(0, middle)] = word.substr(middle + 1);
}

std::string Parameters::Text(const std::string& key, const std::string& otherwise) const {
  const auto found = values_.find(key);
  return found == values_.end() ? otherwise : found->second;
}

double Parameters::Number(const std::string& key, double otherwise) const {
  const auto found = values_.find(key);
  if (found == values_.end()) return otherwise;
  double number;
  if (!absl::SimpleAtod(found->second, &number)) Die(key + " is no number: " + found->second);
  return number;
}

void Client::SleepUntil(std::chrono::steady_clock::time_point time) {
  std::this_thread::sleep_until(time);
}

void System::PrintTransports(const std::string& /*folder*/) {}

namespace {

int Serve(System& system, const std::string& uri, const Parameters& parameters) {
  printf("ready %s\n", system.StartServer(uri, parameters).c_str());
  fflush(stdout);
  std::string line;
  while (std::getline(std::cin, line)) {
    NoteUsage();
  }
  system.StopServer();
  return 0;
}

}  // namespace

int RunProgram(System& system, int argc, char** argv) {
  // Dies with its driver, however that ends.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const std::vector<std::string> words(argv + 1, argv + argc);
  const std::string role = words.empty() ? "" : words[0];
  const size_t before_parameters = role == "client" ? 3 : 2;
  if (words.size() < before_parameters) {
    Die("usage: server URI | client ADDRESS SERVER_PID | both URI | transports FOLDER, and then "
        "KEY=VALUE words");
  }
  Parameters parameters;
  for (size_t i = before_parameters; i < words.size(); ++i) parameters.Add(words[i]);

  if (role == "server") return Serve(system, words[1], parameters);
  if (role == "client") {
    pid_t server = 0;
    if (!absl::SimpleAtoi(words[2], &server)) Die("no process id: " + words[2]);
    RunLoad(system, words[1], server, parameters);
    return 0;
  }
  if (role == "both") {
    RunLoad(system, system.StartServer(words[1], parameters), getpid(), parameters);
    system.StopServer();
    return 0;
  }
  if (role == "transports") {
    system.PrintTransports(words[1]);
    return 0;
  }
  Die("no such role: " + role);
}

}  // namespace anywire::bench
