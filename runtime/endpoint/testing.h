// For tests of endpoints and of what is above them: a connection that does what the test says, and
// the peer behind it.
#ifndef ANYWIRE_RUNTIME_ENDPOINT_TESTING_H_
#define ANYWIRE_RUNTIME_ENDPOINT_TESTING_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "anywire/event_loop.h"
#include "anywire/transport.h"
#include "runtime/protocol/protocol.h"
#include "runtime/protocol/wire_protocol.h"

namespace anywire::test {

struct TestFrame {
  uint64_t stream = 0;
  std::string bytes;
};

// What a test holds of a ScriptedConnection, before, during and after its life. Any thread.
class ConnectionScript {
 public:
  // ---- what the connection does
  // Transmit takes at most so many frames, and then leaves the rest until Unblock.
  void BlockAfter(size_t frames) ABSL_LOCKS_EXCLUDED(mutex_);
  // Calls OnWritable on the calling thread.
  void Unblock() ABSL_LOCKS_EXCLUDED(mutex_);
  // So many frames may wait between NewFrame and Transmit (one always).
  void SetRoom(size_t frames) ABSL_LOCKS_EXCLUDED(mutex_);
  // From now on TransmitUntil waits for room until Unblock or the end of the connection, however
  // long it is told to; before it does not wait at all. And waits until a thread does wait there.
  void MakeSendersWait() ABSL_LOCKS_EXCLUDED(mutex_);
  void WaitForWaitingSender() ABSL_LOCKS_EXCLUDED(mutex_);
  // From now on, and where a thread waits already, TransmitUntil waits as long as it is told to.
  void LetSendersLookUp() ABSL_LOCKS_EXCLUDED(mutex_);
  // From now on Transmit fails.
  void FailTransmit(absl::Status status) ABSL_LOCKS_EXCLUDED(mutex_);
  // Runs inside each Transmit, without a lock.
  void SetTransmitHook(std::function<void()> hook) ABSL_LOCKS_EXCLUDED(mutex_);
  void Deliver(std::vector<TestFrame> frames) ABSL_LOCKS_EXCLUDED(mutex_);
  // After what has been delivered comes the end.
  void EndReceive(absl::Status status) ABSL_LOCKS_EXCLUDED(mutex_);

  // ---- what has happened to it
  // Which thread sleeps in Receive with nothing to come, if one does.
  std::thread::id receiver() ABSL_LOCKS_EXCLUDED(mutex_);
  // Waits until thread `id` does.
  void WaitForReceiver(std::thread::id id) ABSL_LOCKS_EXCLUDED(mutex_);
  void WaitUntilWatched() ABSL_LOCKS_EXCLUDED(mutex_);
  bool watched() ABSL_LOCKS_EXCLUDED(mutex_);
  bool receiving() ABSL_LOCKS_EXCLUDED(mutex_);
  // How often Receive has looked in vain without waiting; and waits until that is `count`.
  int polls() ABSL_LOCKS_EXCLUDED(mutex_);
  void WaitForPolls(int count) ABSL_LOCKS_EXCLUDED(mutex_);
  // Waits for frames that were transmitted, and takes them.
  std::vector<TestFrame> TakeSent() ABSL_LOCKS_EXCLUDED(mutex_);
  std::vector<TestFrame> TakeSentNow() ABSL_LOCKS_EXCLUDED(mutex_);
  uint64_t transmits() ABSL_LOCKS_EXCLUDED(mutex_);
  void WaitUntilAborted() ABSL_LOCKS_EXCLUDED(mutex_);
  void WaitUntilDestroyed() ABSL_LOCKS_EXCLUDED(mutex_);
  bool destroyed() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  friend class ScriptedConnection;

  bool Readable() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return !inbox_.empty() || !end_.ok() || aborted_;
  }
  void AskLoop() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  absl::Mutex mutex_;
  class ScriptedConnection* connection_ ABSL_GUARDED_BY(mutex_) = nullptr;
  bool destroyed_ ABSL_GUARDED_BY(mutex_) = false;
  // Sending.
  std::deque<TestFrame> filling_ ABSL_GUARDED_BY(mutex_);
  std::deque<TestFrame> published_ ABSL_GUARDED_BY(mutex_);
  std::vector<TestFrame> sent_ ABSL_GUARDED_BY(mutex_);
  size_t allowed_ ABSL_GUARDED_BY(mutex_) = SIZE_MAX;
  size_t room_ ABSL_GUARDED_BY(mutex_) = SIZE_MAX;
  bool refused_ ABSL_GUARDED_BY(mutex_) = false;
  bool blocked_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status transmit_status_ ABSL_GUARDED_BY(mutex_);
  std::function<void()> transmit_hook_ ABSL_GUARDED_BY(mutex_);
  uint64_t transmits_ ABSL_GUARDED_BY(mutex_) = 0;
  bool transmitting_now_ ABSL_GUARDED_BY(mutex_) = false;
  bool senders_wait_ ABSL_GUARDED_BY(mutex_) = false;
  bool sender_waits_ ABSL_GUARDED_BY(mutex_) = false;
  bool senders_look_up_ ABSL_GUARDED_BY(mutex_) = false;
  // Receiving.
  std::deque<TestFrame> inbox_ ABSL_GUARDED_BY(mutex_);
  absl::Status end_ ABSL_GUARDED_BY(mutex_);
  bool aborted_ ABSL_GUARDED_BY(mutex_) = false;
  bool watching_ ABSL_GUARDED_BY(mutex_) = false;
  bool asked_ ABSL_GUARDED_BY(mutex_) = false;
  bool in_receive_ ABSL_GUARDED_BY(mutex_) = false;
  int polls_ ABSL_GUARDED_BY(mutex_) = 0;
  std::thread::id receiver_ ABSL_GUARDED_BY(mutex_);
};

// Checks that its owner keeps the rules of transport.h, and spoils frames that were released.
class ScriptedConnection final : public Connection, private EventLoop::Alarm {
 public:
  ScriptedConnection(EventLoop& loop, std::shared_ptr<ConnectionScript> script,
                     bool waiting_is_cheaper = false);
  ~ScriptedConnection() override;

  void Start(Events& events) override;
  absl::Span<uint8_t> NewFrame(uint64_t stream, size_t size) override;
  bool Publish() override;
  absl::Status Transmit() override;
  absl::Status TransmitUntil(Instant wait_until) override;
  absl::StatusOr<absl::Span<const ReceivedFrame>> Receive(Instant wait_until) override;
  void ReleaseFrames() override;
  void WatchReadable(bool on) override;
  void Abort() override;
  const ConnectionInfo& info() const override { return info_; }
  EventLoop& loop() const override { return loop_; }

 private:
  friend class ConnectionScript;
  void OnAlarm(Instant now) override;

  EventLoop& loop_;
  const std::shared_ptr<ConnectionScript> script_;
  ConnectionInfo info_;
  Events* events_ = nullptr;
  std::vector<TestFrame> held_;
  std::vector<ReceivedFrame> views_;
};

// The other end of a client's connection: a server's machine that does what the test says. One
// thread at a time.
class ScriptedPeer final : private protocol::CallFactory, private FrameSink {
 public:
  explicit ScriptedPeer(std::shared_ptr<ConnectionScript> script,
                        const protocol::Limits& limits = protocol::Limits());
  ~ScriptedPeer() override;

  struct Call {
    protocol::CallId id;
    std::string method;
    std::vector<std::string> messages;
    bool half_closed = false;
    bool cancelled = false;
    bool queued = false;  // the machine still has a message of it
  };
  // The `index`th call that the client has opened; waits for its request's end.
  Call& WaitForCall(size_t index);
  // Waits until the `index`th call is cancelled by its client.
  void WaitForCancel(size_t index);
  // Waits for more of what the client sends and reads it.
  void ReadMore();
  // Reads what has come already.
  void ReadNow();

  void Reply(const Call& call, const std::string& message);
  void Finish(const Call& call, const absl::Status& status);
  // Waits for the client's credit when it must.
  void Send(Call& call, const std::string& message);
  void Drain();
  // Gives the client what the machine has written.
  void Flush();
  // The same, as frames that the test delivers.
  std::vector<TestFrame> TakeFrames();

  size_t calls() const { return calls_.size(); }
  Call& CallAt(size_t index) { return calls_[index]; }
  protocol::Protocol& machine() { return *machine_; }

 private:
  const void* FindMethod(absl::string_view full_name) override;
  void* NewCall(protocol::CallId call, const void* method) override;
  absl::Span<uint8_t> NewFrame(uint64_t stream, size_t size) override;
  void Read(const std::vector<TestFrame>& frames);
  void Note(protocol::Protocol::Events& events);

  const std::shared_ptr<ConnectionScript> script_;
  std::deque<std::string> methods_;
  std::deque<Call> calls_;
  std::deque<TestFrame> out_;
  std::unique_ptr<protocol::Protocol> machine_;
};

}  // namespace anywire::test

#endif  // ANYWIRE_RUNTIME_ENDPOINT_TESTING_H_
