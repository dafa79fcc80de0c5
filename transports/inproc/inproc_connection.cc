#include "transports/inproc/inproc_connection.h"

#include <unistd.h>

#include <utility>

#include "absl/base/macros.h"

namespace anywire {

namespace {

// What comes while a thread is in OnReadable of its receiver is received by it too, so often in a
// row; then by the loop, for the thread has something of its own to do.
constexpr int kTurnsInRow = 4;

}  // namespace

using Lock = std::unique_lock<Mutex>;

bool InprocLink::Readable(int end) const {
  return !ends_[end].inbox.empty() || ends_[0].aborted || ends_[1].aborted;
}

// The loop will look at what is due: see OnAlarm.
void InprocLink::AskLoop(End& end) {
  if (end.alarm != nullptr) end.alarm->SetNoLaterThan(Instant());
}

// Whoever comes while a call is under way need not call: the one who does looks again.
void InprocLink::CallOnReadable(int index, Lock& lock) {
  End& end = ends_[index];
  if (end.in_on_readable || !end.watching) return;
  end.in_on_readable = true;
  end.on_readable_thread = std::this_thread::get_id();
  Connection::Events& events = *end.events;
  int turns = 0;
  do {
    end.received = false;
    lock.unlock();
    events.OnReadable();
    lock.lock();
  } while (end.received && ++turns < kTurnsInRow && end.watching && Readable(index));
  end.in_on_readable = false;
  changed_.notify_all();  // the destructor may be waiting
  if (end.watching && Readable(index)) AskLoop(end);
}

absl::Status InprocLink::EndedStatus(int end) const {
  if (ends_[end].aborted) {
    return absl::UnavailableError("the connection was aborted on this side");
  }
  if (ends_[1 - end].aborted) return absl::UnavailableError("closed by peer");
  return absl::OkStatus();
}

void InprocLink::Abort(int end) {
  Lock lock(mutex_);
  AbortLocked(end);
}

void InprocLink::AbortLocked(int end) {
  if (ends_[end].aborted) return;
  ends_[end].aborted = true;
  for (int i : {0, 1}) {
    // Frames that wait for a sender's Transmit are dropped; so there is room, of a kind.
    if (std::exchange(ends_[i].refused, false)) ends_[1 - i].room_news = true;
  }
  for (int i : {0, 1}) {
    if (ends_[i].watching || ends_[i].room_news) AskLoop(ends_[i]);
  }
  changed_.notify_all();
}

InprocConnection::InprocConnection(EventLoop& loop, std::shared_ptr<InprocLink> link, int end,
                                   const std::string& address)
    : Alarm(loop),
      link_(std::move(link)),
      end_(end),
      mine_(link_->ends_[end]),
      peer_(link_->ends_[1 - end]) {
  (end == 0 ? info_.remote_address : info_.local_address) = address;
  info_.peer.credentials = PeerIdentity::Credentials{geteuid(), getegid(), getpid()};
  info_.max_frame_size = kInprocMaxFrameSize;
  info_.piece_size = kInprocMaxFrameSize;
  info_.ordered_across_streams = true;
  info_.host_private = true;
}

InprocConnection::~InprocConnection() {
  Lock lock(link_->mutex_);
  link_->AbortLocked(end_);
  mine_.watching = false;
  mine_.alarm = nullptr;
  // Inside our own OnReadable there is nothing to wait for.
  const std::thread::id self = std::this_thread::get_id();
  link_->changed_.wait(
      lock, [this, self] { return !mine_.in_on_readable || mine_.on_readable_thread == self; });
}

void InprocConnection::Start(Events& events) {
  Lock lock(link_->mutex_);
  mine_.events = &events;
  mine_.alarm = this;
}

bool InprocConnection::HasRoom(size_t size) const {
  const size_t waiting = peer_.waiting.load(std::memory_order_relaxed);
  return waiting == 0 || waiting + size <= kInprocMaxWaiting;
}

bool InprocConnection::Admit(size_t size) {
  ABSL_HARDENING_ASSERT(size >= 1 && size <= kInprocMaxFrameSize);
  if (!HasRoom(size)) {
    Lock lock(link_->mutex_);
    if (link_->EndedStatus(end_).ok()) {
      if (!HasRoom(size)) {
        peer_.refused = true;
        return false;
      }
    } else if (!filling_.empty()) {
      peer_.waiting -= filling_.bytes();
      filling_.Clear();  // nobody looks at these any more
    }
  }
  peer_.waiting.fetch_add(size, std::memory_order_relaxed);
  return true;
}

absl::Span<uint8_t> InprocConnection::NewFrame(uint64_t stream, size_t size) {
  if (!Admit(size)) return {};
  return filling_.Append(stream, size);
}

bool InprocConnection::AddFrame(uint64_t stream, MessageMemory& memory, size_t offset,
                                size_t size) {
  // A little one would not be worth a piece of memory of its own.
  if (size <= IoBlock::kSize) return Connection::AddFrame(stream, memory, offset, size);
  if (!Admit(size)) return false;
  filling_.Append(stream, std::move(memory), offset, size);
  return true;
}

bool InprocConnection::Publish() {
  Lock lock(link_->mutex_);
  if (!filling_.empty()) peer_.published.Take(filling_);
  return !peer_.published.empty();
}

absl::Status InprocConnection::Transmit() {
  Lock lock(link_->mutex_);
  absl::Status status = link_->EndedStatus(end_);
  if (!status.ok()) {
    peer_.waiting -= peer_.published.bytes();
    peer_.published.Clear();
    return status;
  }
  if (peer_.published.empty()) return status;
  peer_.inbox.Take(peer_.published);
  if (peer_.in_receive) {
    lock.unlock();  // so that who wakes finds it free
    link_->changed_.notify_all();
  } else {
    link_->CallOnReadable(1 - end_, lock);
  }
  return status;
}

absl::StatusOr<absl::Span<const ReceivedFrame>> InprocConnection::Receive(Instant wait_until) {
  ReleaseFrames();
  std::condition_variable_any& changed = link_->changed_;
  Lock lock(link_->mutex_);
  for (bool late = wait_until <= Instant();;) {
    if (mine_.aborted) return link_->EndedStatus(end_);
    if (!mine_.inbox.empty()) break;
    if (peer_.aborted) return link_->EndedStatus(end_);
    if (late) return absl::Span<const ReceivedFrame>();
    mine_.in_receive = true;
    if (wait_until == Instant::max()) {
      changed.wait(lock);
    } else {
      late = changed.wait_until(lock, wait_until) == std::cv_status::timeout;
    }
    mine_.in_receive = false;
  }
  held_.Take(mine_.inbox);
  mine_.received = true;
  lock.unlock();
  return held_.frames();
}

void InprocConnection::ReleaseFrames() {
  if (held_.empty()) return;
  const size_t bytes = held_.bytes();
  held_.Clear();
  Lock lock(link_->mutex_);
  const size_t waiting = mine_.waiting.fetch_sub(bytes, std::memory_order_relaxed) - bytes;
  if (mine_.refused && waiting <= kInprocMaxWaiting / 2) {
    mine_.refused = false;
    peer_.room_news = true;
    link_->AskLoop(peer_);
  }
}

void InprocConnection::WatchReadable(bool on) {
  Lock lock(link_->mutex_);
  mine_.watching = on;
  if (on && link_->Readable(end_)) link_->AskLoop(mine_);
}

// Says what is due on the loop's thread. OnWritable is called only here, and so never twice at
// once.
void InprocConnection::OnAlarm(Instant) {
  // Either call may destroy this connection.
  const std::shared_ptr<InprocLink> link = link_;
  const int index = end_;
  InprocLink::End& end = link->ends_[index];
  Lock lock(link->mutex_);
  if (std::exchange(end.room_news, false)) {
    lock.unlock();
    end.events->OnWritable();
    lock.lock();
  }
  if (link->Readable(index)) link->CallOnReadable(index, lock);
}

}  // namespace anywire
