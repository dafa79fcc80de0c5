// One end of a connection, as tests drive it: it sends with patience, receives copies and counts
// what it hears.
#ifndef ANYWIRE_TESTS_CONFORMANCE_TRANSPORT_PEER_H_
#define ANYWIRE_TESTS_CONFORMANCE_TRANSPORT_PEER_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "anywire/event_loop.h"
#include "anywire/transport.h"

namespace anywire::test {

// Every wait of the suite ends by then; a test that gets there has failed.
inline constexpr std::chrono::seconds kPatience(30);
inline Instant Patience() { return std::chrono::steady_clock::now() + kPatience; }

struct Frame {
  uint64_t stream = 0;
  std::string bytes;
  friend bool operator==(const Frame&, const Frame&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Frame& frame) {
    return out << "stream " << frame.stream << ", " << frame.bytes.size() << " bytes";
  }
};

// Bytes that can be checked without keeping them: each follows from the stream, the number of the
// frame and its place.
std::string Content(uint64_t stream, uint64_t number, size_t size);
// Memory that has `bytes` at `offset`.
MessageMemory MemoryWith(absl::string_view bytes, size_t offset);

class Peer final : private Connection::Events {
 public:
  // Starts the connection, whose loop `loop` is.
  Peer(EventLoop& loop, std::unique_ptr<Connection> connection);
  // Destroys it, on the loop.
  ~Peer() override;

  Connection& connection() { return *connection_; }
  EventLoop& loop() { return loop_; }
  size_t max_frame_size() const { return connection_->info().max_frame_size; }

  // ---- any thread

  // Writes one frame, which the next Transmit publishes. False: no room.
  bool TryWrite(uint64_t stream, absl::string_view bytes) ABSL_LOCKS_EXCLUDED(fill_mutex_);
  // The same with a frame that is the `size` bytes at `offset` of `memory`.
  bool TryAdd(uint64_t stream, MessageMemory& memory, size_t offset, size_t size)
      ABSL_LOCKS_EXCLUDED(fill_mutex_);
  // The same with one that is `head` and the `size` bytes at `offset`.
  bool TryAddPiece(uint64_t stream, absl::string_view head, const SharedMessageMemory& memory,
                   size_t offset, size_t size) ABSL_LOCKS_EXCLUDED(fill_mutex_);
  // Publishes. Whether there is something for Transmit to do.
  bool Publish() ABSL_LOCKS_EXCLUDED(mutex_, fill_mutex_);
  // Publishes and transmits, or has the thread do it that already does. What is left goes on by
  // OnWritable.
  absl::Status Transmit() { return TransmitUntil(Instant()); }
  // The same by the connection's TransmitUntil, if the time is not past.
  absl::Status TransmitUntil(Instant wait_until) ABSL_LOCKS_EXCLUDED(mutex_);
  // Writes, publishes and transmits one frame, waiting for room as often as it must. UNAVAILABLE
  // and the like when sending has failed; DEADLINE_EXCEEDED when there was no room for too long.
  absl::Status Send(uint64_t stream, absl::string_view bytes);

  // ---- one thread at a time

  // Receives until there are `count` frames, or the end; what was received is appended.
  absl::Status Receive(size_t count, std::vector<Frame>& frames);
  // One frame.
  absl::StatusOr<Frame> ReceiveOne();
  // Receives until the connection ends, and returns with what.
  absl::Status ReceiveEnd();

  // Set before they can come. OnWritable transmits before it calls the function.
  void set_on_readable(std::function<void()> function) { on_readable_ = std::move(function); }
  void set_on_writable(std::function<void()> function) { on_writable_ = std::move(function); }
  int readable_calls() const ABSL_LOCKS_EXCLUDED(mutex_);
  // Whether there were so many, waiting for them.
  bool WaitForReadableCalls(int count) ABSL_LOCKS_EXCLUDED(mutex_);
  int writable_calls() const ABSL_LOCKS_EXCLUDED(mutex_);
  bool WaitForWritableCalls(int count) ABSL_LOCKS_EXCLUDED(mutex_);

  // Destroys the connection now; nothing but the counters may be used any more.
  void Destroy();
  // For a connection that has been destroyed by the test.
  std::unique_ptr<Connection> TakeConnection() { return std::move(connection_); }

 private:
  void OnReadable() override;
  void OnWritable() override;

  EventLoop& loop_;
  std::unique_ptr<Connection> connection_;
  std::function<void()> on_readable_;
  std::function<void()> on_writable_;
  absl::Mutex fill_mutex_;
  std::vector<Frame> left_over_;  // received by ReceiveOne and not asked for yet

  mutable absl::Mutex mutex_;
  int readable_calls_ ABSL_GUARDED_BY(mutex_) = 0;
  bool transmitting_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status send_status_ ABSL_GUARDED_BY(mutex_);
  bool transmit_again_ ABSL_GUARDED_BY(mutex_) = false;
  int writable_calls_ ABSL_GUARDED_BY(mutex_) = 0;
  int in_readable_ ABSL_GUARDED_BY(mutex_) = 0;
  int in_writable_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace anywire::test

#endif  // ANYWIRE_TESTS_CONFORMANCE_TRANSPORT_PEER_H_
