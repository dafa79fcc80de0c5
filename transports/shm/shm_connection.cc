#include "transports/shm/shm_connection.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <utility>

#include "absl/base/macros.h"
#include "absl/base/optimization.h"
#include "anywire/futex.h"

namespace anywire {
namespace {

using std::chrono::steady_clock;

// A thread that sleeps looks up so often: the loop that would tell it of the peer's end may be
// busy with something else.
constexpr std::chrono::milliseconds kLongestSleep(50);
// A thread that polls asks the system after the peer once in so many times.
constexpr unsigned kPollsBetweenLooks = 1024;

}  // namespace

uid_t OverflowUid() {
  static const uid_t kOverflowUid = [] {
    unsigned uid = 65534;  // the kernel's default
    if (std::FILE* const file = std::fopen("/proc/sys/kernel/overflowuid", "re")) {
      if (std::fscanf(file, "%u", &uid) != 1) uid = 65534;
      std::fclose(file);
    }
    return uid_t{uid};
  }();
  return kOverflowUid;
}

bool ParsedInPlace(InPlace in_place, const PeerIdentity& peer, uid_t own) {
  switch (in_place) {
    case InPlace::kNever:
      return false;
    case InPlace::kSameUser:
      return peer.credentials.has_value() && peer.credentials->uid == own && own != OverflowUid();
    case InPlace::kAlways:
      return true;
  }
  return false;
}

ShmConnection::ShmConnection(EventLoop& loop, ShmSocket socket, std::unique_ptr<ShmRegion> region,
                             ShmRegion::Direction output, ConnectionInfo info,
                             const ShmOptions& options)
    : Alarm(loop),
      loop_(loop),
      socket_(std::move(socket)),
      region_(std::move(region)),
      info_(std::move(info)),
      output_(*region_, output),
      input_(*region_,
             output == ShmRegion::kToListener ? ShmRegion::kToConnector : ShmRegion::kToListener,
             ParsedInPlace(options.in_place, info_.peer, geteuid())) {
  info_.max_frame_size = ShmMaxFrameSize(region_->ring_size());
  info_.piece_size = info_.max_frame_size;  // a copy more would take longer than the frame's way
  info_.ordered_across_streams = true;
  info_.host_private = true;
  info_.waiting_is_cheaper = true;
}

ShmConnection::~ShmConnection() {
  if (destroyed_ != nullptr) *destroyed_ = true;
  if (watched_) loop_.RemoveWatch(socket_.get(), *this);
}

void ShmConnection::Start(Events& events) {
  events_ = &events;
  watched_ = loop_.AddWatch(socket_.get(), EPOLLIN | EPOLLRDHUP, *this).ok();
  if (!watched_) End(State::kUnwatched);
}

// ---- sending

absl::Span<uint8_t> ShmConnection::NewFrame(uint64_t stream, size_t size) {
  ABSL_HARDENING_ASSERT(size >= 1 && size <= info_.max_frame_size);
  if (ABSL_PREDICT_FALSE(state_.load(std::memory_order_acquire) != State::kOpen)) {
    return Nowhere(size);
  }
  const absl::Span<uint8_t> frame = output_.NewFrame(stream, size);
  if (ABSL_PREDICT_TRUE(frame.data() != nullptr)) return frame;
  return NewFrameWithoutRoom(stream, size);
}

absl::Span<uint8_t> ShmConnection::NewFrameWithoutRoom(uint64_t stream, size_t size) {
  // Before the peer is asked, and before state_ is looked at: whoever rings or ends then sees it.
  refused_.store(true);
  rings_asked_.fetch_add(1);
  const absl::Span<uint8_t> frame = output_.NewFrameOrRing(stream, size);
  if (frame.data() != nullptr) {
    refused_.store(false);
    return frame;
  }
  if (output_.broken()) End(State::kBrokenRoom);
  if (state_.load() == State::kOpen) return {};
  refused_.store(false);
  return Nowhere(size);
}

absl::Span<uint8_t> ShmConnection::Nowhere(size_t size) {
  if (nowhere_ == nullptr) {
    nowhere_ = std::make_unique_for_overwrite<uint8_t[]>(info_.max_frame_size);
  }
  return absl::MakeSpan(nowhere_.get(), size);
}

absl::Status ShmConnection::Transmit() {
  if (const State state = state_.load(std::memory_order_acquire);
      ABSL_PREDICT_FALSE(state != State::kOpen)) {
    if (send_status_.ok()) send_status_ = EndStatus(state);
    return send_status_;
  }
  switch (output_.Transmit()) {
    case Sleep::kAwake:
      break;
    case Sleep::kThread:
      SharedFutexWakeOne(output_.rung_word());
      break;
    case Sleep::kLoop:
      RingSocket();
      break;
  }
  return absl::OkStatus();
}

// Once for each time that the peer has asked for it, so there is room for the byte, unless the peer
// does not read.
void ShmConnection::RingSocket() {
  const char ring = 0;
  (void)send(socket_.get(), &ring, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

// ---- receiving

absl::StatusOr<absl::Span<const ReceivedFrame>> ShmConnection::Receive(Instant wait_until) {
  ReleaseFrames();
  for (;;) {
    if (ABSL_PREDICT_FALSE(state_.load(std::memory_order_acquire) != State::kOpen)) {
      return ReceiveLast();
    }
    const absl::Span<const ReceivedFrame> frames = input_.Take();
    if (!frames.empty()) return frames;
    if (ABSL_PREDICT_FALSE(input_.error() != nullptr)) return absl::DataLossError(input_.error());
    input_.Shrink();
    if (wait_until <= Instant()) {
      if (++empty_polls_ % kPollsBetweenLooks == 0) LookForPeer();
      return frames;
    }
    ReleaseFrames();
    if (!SleepUntil(wait_until)) return frames;
  }
}

// What the peer had sent before it ended, and then why.
absl::StatusOr<absl::Span<const ReceivedFrame>> ShmConnection::ReceiveLast() {
  const State state = state_.load();
  if (state == State::kAborted) return EndStatus(state);
  if (!receive_status_.ok()) return receive_status_;
  if (state == State::kGone) {
    input_.Close();
    const absl::Span<const ReceivedFrame> frames = input_.Take();
    if (!frames.empty()) return frames;
  }
  receive_status_ =
      input_.error() != nullptr ? absl::DataLossError(input_.error()) : EndStatus(state);
  return receive_status_;
}

// Returns whether to look again; otherwise the time is over.
bool ShmConnection::SleepUntil(Instant wait_until) {
  RingConsumer<NativeAtomics>& consumer = input_.consumer();
  for (;;) {
    const std::chrono::nanoseconds left = wait_until - steady_clock::now();
    if (left.count() <= 0) break;
    {
      MutexLock lock(&sleep_mutex_);
      if (!consumer.Announce(Sleep::kThread)) return true;
    }
    // Who ends the connection wakes us after it has stored state_.
    if (state_.load() != State::kOpen) break;
    if (const uint32_t rung = consumer.Rung(); !consumer.IsRungFor(rung)) {
      SharedFutexWait(input_.rung_word(), rung,
                      std::min<std::chrono::nanoseconds>(left, kLongestSleep));
    }
    if (!consumer.HasNews()) LookForPeer();
  }
  MutexLock lock(&sleep_mutex_);
  consumer.Retract();
  return state_.load() != State::kOpen;
}

void ShmConnection::LookForPeer() {
  pollfd socket = {socket_.get(), POLLRDHUP, 0};
  if (poll(&socket, 1, 0) > 0) End(State::kGone);
}

void ShmConnection::WatchReadable(bool on) {
  MutexLock lock(&sleep_mutex_);
  if (watching_ == on) return;
  watching_ = on;
  if (on) {
    Arm();
  } else {
    input_.consumer().Retract();
  }
}

// Sees to it that the loop hears of what there is, or of what comes.
void ShmConnection::Arm() {
  rings_asked_.fetch_add(1);
  if (state_.load() != State::kOpen || !input_.consumer().Announce(Sleep::kLoop)) {
    SetNoLaterThan(Instant());
  }
}

// ---- the loop

void ShmConnection::OnReady(uint32_t events) {
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) {
    End(State::kGone);
  } else {
    HearRings();
  }
  if (state_.load() != State::kOpen) loop_.ChangeWatch(socket_.get(), 0, *this);
  {
    MutexLock lock(&sleep_mutex_);
    if (watching_) input_.consumer().Retract();
  }
  Attend(/*rung=*/true);
}

void ShmConnection::HearRings() {
  uint8_t rings[64];
  const ssize_t size = recv(socket_.get(), rings, sizeof(rings), MSG_DONTWAIT);
  if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) return End(State::kGone);
  // To be woken for nothing is a ring, too: a byte out of band (MSG_OOB) does that.
  rings_heard_ += size > 0 ? static_cast<uint64_t>(size) : 1;
  if (rings_heard_ > rings_asked_.load()) End(State::kBrokenRing);
}

void ShmConnection::Attend(bool rung) {
  bool destroyed = false;
  destroyed_ = &destroyed;
  if (rung && refused_.load() && refused_.exchange(false)) {
    events_->OnWritable();
    if (destroyed) return;
  }
  bool readable;
  {
    MutexLock lock(&sleep_mutex_);
    readable = watching_ && Readable();
  }
  if (readable) {
    events_->OnReadable();
    if (destroyed) return;
  }
  destroyed_ = nullptr;
  MutexLock lock(&sleep_mutex_);
  if (watching_ && input_.consumer().announced() == Sleep::kAwake) Arm();
}

// ---- the end

void ShmConnection::Abort() { End(State::kAborted); }

void ShmConnection::End(State state) {
  State present = state_.load();
  while (present == State::kOpen || (state == State::kAborted && present != state)) {
    if (!state_.compare_exchange_weak(present, state)) continue;
    // The peer and our loop hear of it by the socket.
    shutdown(socket_.get(), SHUT_RDWR);
    // A thread that announces itself after this look sees state_. One that is just about to sleep,
    // or whose wake-up a thread of the peer takes, looks up by itself.
    bool thread_sleeps;
    {
      MutexLock lock(&sleep_mutex_);
      thread_sleeps = input_.consumer().announced() == Sleep::kThread;
    }
    if (thread_sleeps) SharedFutexWakeOne(input_.rung_word());
    return;
  }
}

absl::Status ShmConnection::EndStatus(State state) const {
  switch (state) {
    case State::kGone:
      return absl::UnavailableError("closed by peer");
    case State::kBrokenRoom:
      return absl::DataLossError("the peer's index of what it has read is out of range");
    case State::kBrokenRing:
      return absl::DataLossError("the peer rings without having been asked to");
    case State::kUnwatched:
      return absl::ResourceExhaustedError(
          "the system has no room to watch the connection's socket");
    case State::kAborted:
      return absl::UnavailableError("the connection was aborted on this side");
    case State::kOpen:
      break;
  }
  return absl::OkStatus();
}

}  // namespace anywire
