// What a system under measurement has to be able to do: anywire, gRPC, Cap'n Proto and hand-written
// code each implement this, and one load (load.h) drives them all.
#ifndef ANYWIRE_TESTS_BENCH_SYSTEM_H_
#define ANYWIRE_TESTS_BENCH_SYSTEM_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "tests/bench/bench.pb.h"

namespace anywire::bench {

// Prints `message` and ends the process: a benchmark goes on after no error.
[[noreturn]] void Die(const std::string& message);

// The "key=value" words of a command line.
class Parameters {
 public:
  // Dies of a word that is none.
  void Add(const std::string& word);
  std::string Text(const std::string& key, const std::string& otherwise) const;
  double Number(const std::string& key, double otherwise) const;

 private:
  std::map<std::string, std::string> values_;
};

// Dies unless `payload` is what an echo of `request` has to be, as far as a glance tells.
inline void CheckReply(const EchoMessage& request, absl::string_view payload) {
  const std::string& sent = request.payload();
  if (payload.size() != sent.size() || (!sent.empty() && payload.back() != sent.back())) {
    Die("a wrong reply");
  }
}

// A call that is made again and again, always with the same request. The load owns it.
class RepeatedCall {
 public:
  virtual const EchoMessage& request() const = 0;
  // Its reply has come and was checked. Returns whether the call is to be made again, at once; if
  // not, the system does not touch it any more.
  virtual bool OnReply() = 0;

 protected:
  ~RepeatedCall() = default;
};

// What a stream both ways has moved.
struct ChatProgress {
  std::atomic<bool> stop{false};      // set by the load
  std::atomic<uint64_t> received{0};  // by one thread at a time
};

// A connected client. It checks each reply, and every failure ends the process with a message.
class Client {
 public:
  virtual ~Client() = default;
  // One call that waits. Any thread, unless the system has one only.
  virtual void Call(const EchoMessage& request) = 0;
  // Makes the call without waiting, until it has had enough.
  virtual void Start(RepeatedCall& call) = 0;
  // Streams `message` up until `stop`; how many the server says that it got.
  virtual uint64_t Upload(const EchoMessage& message, const std::atomic<bool>& stop) = 0;
  // Streams `message` up until told to stop, and reads what comes back.
  virtual void Chat(const EchoMessage& message, ChatProgress& progress) = 0;
  // Sleeps, unless the system has no threads of its own and works on this one meanwhile.
  virtual void SleepUntil(std::chrono::steady_clock::time_point time);
};

class System {
 public:
  virtual ~System() = default;
  // Serves from now on; the address for clients. `uri` is one of anywire's, with the port 0 or an
  // unused path.
  virtual std::string StartServer(const std::string& uri, const Parameters& parameters) = 0;
  virtual void StopServer() = 0;
  virtual std::unique_ptr<Client> Connect(const std::string& uri, const Parameters& parameters) = 0;
  // What it can do over what, one JSON object a line, for "PROGRAM transports FOLDER"; addresses
  // that need a file have it in `folder`.
  virtual void PrintTransports(const std::string& folder);
};

}  // namespace anywire::bench

#endif  // ANYWIRE_TESTS_BENCH_SYSTEM_H_
