// The other process: this same program as a server or as a client, to be signalled and killed.
#ifndef ANYWIRE_TESTS_CONFORMANCE_PEER_H_
#define ANYWIRE_TESTS_CONFORMANCE_PEER_H_

#include <memory>
#include <string>

#include "tests/conformance/world.h"
#include "tests/support/child_process.h"

namespace anywire::test {

// For main: whether this process has been started as a peer, and its work.
bool IsPeer(int argc, char** argv);
int RunPeer(int argc, char** argv);

// A server by Server::Run: it ends by signals. It prints "listening", and a line "started" for each
// handler that begins. `runtime_config` is the text of the configuration's message runtime. A line
// "release" on its input lets held handlers go.
std::unique_ptr<ChildProcess> StartServerPeer(const std::string& address, ServerForm form,
                                              const std::string& runtime_config = "");

// A client that makes one call which does not end by itself, prints "reached" when the call has got
// so far, and waits to be killed.
enum class ClientStage {
  kUnary,    // the handler runs
  kUpload,   // between two messages
  kBlocked,  // many replies are on their way and none is read
  kChat,     // after a message each way
  kDropped,  // after a message each way, then Cancel; the process stays
};
std::unique_ptr<ChildProcess> StartClientPeer(const std::string& address, ClientStage stage);

}  // namespace anywire::test

#endif  // ANYWIRE_TESTS_CONFORMANCE_PEER_H_
