// A bad path for programs that know nothing of it.
//
//   bad_path udp SERVER [KEY=VALUE ...]
//     Relays datagrams to the server ("127.0.0.1:4000"). Says "ready ADDRESS": where clients send.
//   bad_path tun [KEY=VALUE ...]
//     Makes a network namespace with a TunPath in it. Says "ready PID": whose it is.
//   bad_path inside PID COMMAND [ARGUMENT ...]
//     Becomes the command, in that namespace. There a server listens at 198.18.0.1, at a port below
//     32,768, and clients connect to 198.18.0.2.
//
// The words are ParsePathWords's. The first two serve until stdin is closed, and to each line on it
// answer with what they have done, a line of JSON.
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "tests/support/network_namespace.h"
#include "tests/support/path_words.h"
#include "tests/support/tun_path.h"
#include "tests/support/udp_relay.h"

namespace anywire::test {
namespace {

int Fail(const absl::Status& status) {
  fprintf(stderr, "bad_path: %s\n", std::string(status.message()).c_str());
  return 1;
}

std::string Json(const PathCounts& counts) {
  return absl::StrCat(
      "{\"sent\": ", counts.sent, ", \"arrived\": ", counts.arrived(), ", \"lost\": ", counts.lost,
      ", \"too_large\": ", counts.too_large, ", \"overflowed\": ", counts.overflowed,
      ", \"reordered\": ", counts.reordered, ", \"duplicated\": ", counts.duplicated,
      ", \"corrupted\": ", counts.corrupted, "}");
}

int Serve(const std::string& ready, const PathControl& path) {
  // Dies with its driver, however that ends.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  printf("ready %s\n", ready.c_str());
  fflush(stdout);
  std::string line;
  while (std::getline(std::cin, line)) {
    printf("{\"to_server\": %s, \"to_client\": %s}\n", Json(path.counts(Towards::kServer)).c_str(),
           Json(path.counts(Towards::kClient)).c_str());
    fflush(stdout);
  }
  return 0;
}

int ServeUdp(const std::string& server, const LivePathOptions& options) {
  const absl::StatusOr<std::unique_ptr<UdpRelay>> relay =
      UdpRelay::Start(server, {.live = options});
  if (!relay.ok()) return Fail(relay.status());
  return Serve((*relay)->address(), (*relay)->path());
}

int ServeTun(const LivePathOptions& options) {
  if (absl::Status entered = EnterNewNetworkNamespace(); !entered.ok()) return Fail(entered);
  const absl::StatusOr<std::unique_ptr<TunPath>> tun = TunPath::Start(options);
  if (!tun.ok()) return Fail(tun.status());
  return Serve(absl::StrCat(getpid()), (*tun)->path());
}

int RunInside(const std::string& pid_word, char** command) {
  pid_t pid;
  if (!absl::SimpleAtoi(pid_word, &pid)) {
    return Fail(absl::InvalidArgumentError("no process id: " + pid_word));
  }
  if (absl::Status entered = EnterNetworkNamespaceOf(pid); !entered.ok()) return Fail(entered);
  execvp(command[0], command);
  perror(command[0]);
  return 1;
}

int Main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  const std::string role = words.empty() ? "" : words[0];
  if (role == "inside" && words.size() >= 3) return RunInside(words[1], argv + 3);
  const size_t before_path = role == "udp" ? 2 : 1;
  if ((role != "udp" && role != "tun") || words.size() < before_path) {
    return Fail(absl::InvalidArgumentError(
        "usage: udp SERVER [KEY=VALUE ...] | tun [KEY=VALUE ...] | inside PID COMMAND ..."));
  }
  const absl::StatusOr<LivePathOptions> options =
      ParsePathWords(absl::MakeConstSpan(words).subspan(before_path));
  if (!options.ok()) return Fail(options.status());
  return role == "udp" ? ServeUdp(words[1], *options) : ServeTun(*options);
}

}  // namespace
}  // namespace anywire::test

int main(int argc, char** argv) { return anywire::test::Main(argc, argv); }
