// A Connection over a stream socket; PROTOCOL.md has the format.
//
// A thread that waits in Receive blocks in recv(2) itself, and Transmit is one send(2): a request
// and its reply cost two system calls on either side, with no epoll involved. The loop comes in
// only while watching is on, or while the socket is full.
#ifndef ANYWIRE_TRANSPORTS_STREAM_STREAM_CONNECTION_H_
#define ANYWIRE_TRANSPORTS_STREAM_STREAM_CONNECTION_H_

#include <atomic>
#include <memory>

#include "absl/base/attributes.h"
#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "anywire/event_loop.h"
#include "anywire/mutex.h"
#include "anywire/transport.h"
#include "transports/stream/frame_input.h"
#include "transports/stream/frame_output.h"
#include "transports/stream/socket_io.h"
#include "transports/stream/stream_options.h"
#include "transports/stream/unique_fd.h"

namespace anywire {

class StreamConnection final : public Connection, private EventLoop::Watch {
 public:
  // `fd` is a connected stream socket in blocking mode whose preface has been dealt with. Of
  // `info`, what the framing decides is filled in here.
  StreamConnection(EventLoop& loop, UniqueFd fd, ConnectionInfo info, const StreamOptions& options);
  ~StreamConnection() override;

  void Start(Events& events) override;
  absl::Span<uint8_t> NewFrame(uint64_t stream, size_t size) override {
    return output_.NewFrame(stream, size);
  }
  bool AddPiece(uint64_t stream, absl::Span<const uint8_t> head, const SharedMessageMemory& memory,
                size_t offset, size_t size) override {
    return output_.AddPiece(stream, head, memory, offset, size);
  }
  bool Publish() override { return output_.Publish(); }
  absl::Status Transmit() override { return TransmitUntil(Instant()); }
  absl::Status TransmitUntil(Instant wait_until) override;
  absl::StatusOr<absl::Span<const ReceivedFrame>> Receive(Instant wait_until) override;
  void ReleaseFrames() override { input_.Release(); }
  void WatchReadable(bool on) override;
  void Abort() override;
  const ConnectionInfo& info() const override { return info_; }
  EventLoop& loop() const override { return loop_; }

 private:
  class Poller;

  void OnReady(uint32_t events) override;
  ABSL_ATTRIBUTE_NOINLINE bool AwaitRoom(Instant wait_until);
  ABSL_ATTRIBUTE_NOINLINE void WatchWritable();
  void UpdateWatch() ABSL_EXCLUSIVE_LOCKS_REQUIRED(watch_mutex_);
  ABSL_ATTRIBUTE_NOINLINE void CallOnWritable(const bool* destroyed)
      ABSL_LOCKS_EXCLUDED(watch_mutex_);
  ABSL_ATTRIBUTE_COLD absl::Status SendFailed(absl::Status status);

  EventLoop& loop_;
  ConnectionInfo info_;
  SocketIo io_;
  Events* events_ = nullptr;
  bool* destroyed_ = nullptr;  // the loop's: set while it calls OnWritable
  std::atomic<bool> aborted_{false};

  FrameOutput output_;
  absl::Status send_status_;  // Transmit's
  FrameInput input_;
  absl::Status receive_status_;  // Receive's

  Mutex watch_mutex_;
  bool watched_ ABSL_GUARDED_BY(watch_mutex_) = false;  // by the kernel
  // Stands in for the kernel's watch where that has been refused.
  std::unique_ptr<Poller> poller_ ABSL_GUARDED_BY(watch_mutex_);
  bool want_readable_ ABSL_GUARDED_BY(watch_mutex_) = false;
  bool want_writable_ ABSL_GUARDED_BY(watch_mutex_) = false;
  uint32_t watched_events_ ABSL_GUARDED_BY(watch_mutex_) = 0;
  bool calling_on_writable_ ABSL_GUARDED_BY(watch_mutex_) = false;
  bool call_on_writable_again_ ABSL_GUARDED_BY(watch_mutex_) = false;
};

// The connecting side's beginning: sends the preface on `fd`, which has just been connected, and
// makes the connection.
absl::StatusOr<std::unique_ptr<Connection>> BeginStream(EventLoop& loop, UniqueFd fd,
                                                        ConnectionInfo info,
                                                        const StreamOptions& options);

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_STREAM_STREAM_CONNECTION_H_
