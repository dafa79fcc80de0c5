#include "transports/udp/udp_socket.h"

#include <errno.h>
#include <sys/epoll.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "transports/udp/thread_batch.h"

namespace anywire::udp {
namespace {

using Clock = std::chrono::steady_clock;

// So many batches of one connection are sent in a row before others have their turn.
constexpr int kMaxBatches = 64;
// How long the kernel is left alone when it has no memory for what we send.
constexpr std::chrono::milliseconds kMemoryPause(1);
// How often a connection is looked after that has something to send and cannot: what is due is due
// all the while, and only its end can come of it.
constexpr std::chrono::milliseconds kBlockedPause(100);

}  // namespace

UdpSocket::UdpSocket(EventLoop& loop, WaiterPool& waiters, DatagramSocket socket)
    : Alarm(loop), loop_(loop), waiters_(waiters), socket_(std::move(socket)) {}

UdpSocket::~UdpSocket() noexcept {
  if (is_watched_) loop_.RemoveWatch(socket_.fd(), *this);
}

absl::Status UdpSocket::Open() {
  MutexLock lock(&mutex_);
  absl::Status status = loop_.AddWatch(socket_.fd(), 0, *this);
  is_watched_ = status.ok();
  if (is_watched_) ReadOnLoop(true);
  return status;
}

// ---- the loop's turns

void UdpSocket::OnReady(uint32_t events) {
  const std::shared_ptr<void> keep = Keep();
  if (keep == nullptr) return;  // whoever was the last is about to destroy it
  {
    MutexLock lock(&mutex_);
    is_in_turn_ = true;
    if ((events & EPOLLOUT) != 0) ResumeSending(Clock::now());
  }
  if ((events & (EPOLLIN | EPOLLERR)) != 0) Read();
  EndTurn();
}

void UdpSocket::OnAlarm(Instant now) {
  const std::shared_ptr<void> keep = Keep();
  if (keep == nullptr) return;
  {
    MutexLock lock(&mutex_);
    is_in_turn_ = true;
  }
  OnAlarmBegins(now);
  {
    MutexLock lock(&mutex_);
    if (now >= resume_at_) ResumeSending(now);
    HandleWakeups(now);
    Settle(now);
  }
  EndTurn();
}

void UdpSocket::EndTurn() {
  Tell();
  OnTurnEnds();
}

void UdpSocket::Tell() {
  mutex_.Lock();
  // Those of which there is still something to tell when it has been told.
  UdpLinkQueue<&UdpLink::has_news, &UdpLink::next_with_news> later;
  while (UdpLink* const link = news_.Pop()) {
    if (link->is_over()) {
      if (std::exchange(link->is_lingering, false)) --lingering_;
      if (link->is_stalled) continue;  // until there is room, or the socket goes
      Forget(*link);
      Destroy(*link);
      continue;
    }
    Connection::Events* const events = link->events;
    if (events == nullptr) continue;
    telling_ = link;
    TellRoom(*link, /*by_loop=*/true);
    if (telling_ == link && link->is_watching && link->is_readable()) {
      mutex_.Unlock();
      events->OnReadable();
      mutex_.Lock();
    }
    if (telling_ == link && link->is_watching && link->is_readable()) later.Push(*link);
  }
  telling_ = nullptr;
  is_in_turn_ = false;
  // (Not before: other sockets of the loop have their turn.)
  std::swap(news_, later);
  if (!news_.empty()) SetAlarm(Instant());
  SetAlarm(std::min(wakeups_.first_at(), resume_at_));
  const bool has_lingered = lingering_ == 0;
  mutex_.Unlock();
  if (has_lingered && std::exchange(is_kept_, false)) {
    lingering_ends_->fulfill();
    lingering_ends_ = nullptr;
  }
}

void UdpSocket::TellRoom(UdpLink& link, bool by_loop) {
  // Whoever is in it looks again.
  if (link.is_telling_room || link.events == nullptr) return;
  Connection::Events& events = *link.events;
  while (link.has_room_news) {
    link.has_room_news = false;
    link.is_telling_room = true;
    mutex_.Unlock();
    events.OnWritable();
    mutex_.Lock();
    if (by_loop && telling_ != &link) return;  // inside, it was destroyed
    link.is_telling_room = false;
  }
}

// The loop destroys what it keeps when it ends. By then what may be sent has been: the destructors
// of sockets have nothing to add.
void UdpSocket::Linger(std::shared_ptr<void> keep) {
  {
    MutexLock lock(&mutex_);
    if (lingering_ == 0) return;
  }
  if (std::exchange(is_kept_, true)) return;
  auto pair = kj::newPromiseAndFulfiller<void>();
  lingering_ends_ = kj::mv(pair.fulfiller);
  loop_.Detach(pair.promise.attach(std::move(keep)), "a closed udp connection");
}

// ---- receiving

bool UdpSocket::Read() {
  const ThreadBatch<ReceiveBatch> borrowed;
  ReceiveBatch& batch = *borrowed;
  read_mutex_.Lock();
  const int error = socket_.Receive(batch);
  const Instant now = Clock::now();
  mutex_.Lock();
  if (error != 0) OnIcmp(error);
  for (size_t i = 0; i < batch.count(); ++i) {
    const DatagramPath from = batch.Path(i);
    batch.Each(i, [&](absl::Span<const uint8_t> datagram)
                      ABSL_NO_THREAD_SAFETY_ANALYSIS { Take(now, from, datagram); });
  }
  read_mutex_.Unlock();
  const bool has_read = batch.count() > 0;
  Settle(now);
  mutex_.Unlock();
  return has_read;
}

void UdpSocket::ReadOnLoop(bool on) {
  reads_on_loop_ = on;
  UpdateWatch();
}

void UdpSocket::UpdateWatch() {
  uint32_t events = 0;
  if (reads_on_loop_) events |= EPOLLIN;
  if (is_blocked_ && resume_at_ == Instant::max()) events |= EPOLLOUT;
  if (events == watched_events_ || !is_watched_) return;
  watched_events_ = events;
  loop_.ChangeWatch(socket_.fd(), events, *this);
}

// ---- time

void UdpSocket::HandleWakeups(Instant now) {
  while (wakeups_.first_at() <= now) {
    UdpLink& link = wakeups_.first();
    wakeups_.Remove(link);
    const Instant due = link.machine->NextWakeup();
    if (due <= now) {
      link.machine->HandleWakeup(now);
      Touch(link);
    } else {
      wakeups_.SetNoLaterThan(link, due);
    }
  }
}

// ---- sending

void UdpSocket::Settle(Instant now) {
  while (UdpLink* const link = touched_.Pop()) Flush(*link, now);
}

void UdpSocket::Flush(UdpLink& link, Instant now) {
  if (link.is_flushing) {
    link.flush_again = true;  // one at a time, or datagrams would overtake each other
    return;
  }
  const ThreadBatch<SendBatch> borrowed;
  SendBatch& batch = *borrowed;
  link.is_flushing = true;
  bool more = true;
  for (int batches = 0; more && !is_blocked_ && batches < kMaxBatches; ++batches) {
    batch.Clear();
    while (!batch.full()) {
      const size_t size = link.machine->PollDatagram(now, batch.room());
      if (size == 0) break;
      batch.Add(size);
    }
    more = batch.full();
    link.flush_again = false;
    if (batch.empty()) break;
    size_t sent = 0;
    int icmp = 0;
    mutex_.Unlock();
    const int error = socket_.Send(batch, link.path, &sent, &icmp);
    mutex_.Lock();
    if (icmp != 0) OnIcmp(icmp);
    if (error != 0) Block(batch, sent, link.path, error);
    more = more || link.flush_again;
    if (more) now = Clock::now();
  }
  link.is_flushing = false;
  if (more && !is_blocked_) {
    Touch(link);
    SetAlarm(Instant());
  } else {
    Instant due = link.machine->NextWakeup();
    if (is_blocked_) {
      stalled_.Push(link);
      due = std::max(due, now + kBlockedPause);
    }
    wakeups_.SetNoLaterThan(link, due);
    if (!is_in_turn_) SetAlarm(wakeups_.first_at());
  }
  OnSettled(link);
  Note(link);
}

void UdpSocket::Note(UdpLink& link) {
  if (link.machine->TakeRoom()) link.has_room_news = true;
  if (link.receiver != nullptr && link.is_readable()) {
    std::exchange(link.receiver, nullptr)->Wake();
  }
  if (link.sender != nullptr &&
      (link.has_room_news || link.has_ended() || !link.machine->has_unsent())) {
    std::exchange(link.sender, nullptr)->Wake();
  }
  const bool is_to_be_told = link.has_room_news || (link.is_watching && link.is_readable());
  if (!link.is_over() && (link.events == nullptr || !is_to_be_told)) return;
  news_.Push(link);
  if (!is_in_turn_) SetAlarm(Instant());
}

void UdpSocket::Block(const SendBatch& batch, size_t sent, const DatagramPath& path, int error) {
  const uint8_t* next = batch.bytes().data();
  for (size_t i = 0; i < batch.count(); next += batch.size(i), ++i) {
    if (i < sent || unsent_bytes_ + batch.size(i) > kMaxUnsent) continue;
    unsent_bytes_ += batch.size(i);
    unsent_.push_back({path, std::vector<uint8_t>(next, next + batch.size(i))});
  }
  is_blocked_ = true;
  if (error != EAGAIN) {
    resume_at_ = Clock::now() + kMemoryPause;
    SetAlarm(resume_at_);
  }
  UpdateWatch();
}

void UdpSocket::ResumeSending(Instant now) {
  resume_at_ = Instant::max();
  while (!unsent_.empty()) {
    const Unsent& next = unsent_.front();
    const int error = socket_.SendOne(next.bytes, next.path);
    if (error != 0) {
      if (error != EAGAIN) resume_at_ = now + kMemoryPause;
      return UpdateWatch();
    }
    unsent_bytes_ -= next.bytes.size();
    unsent_.pop_front();
  }
  is_blocked_ = false;
  UpdateWatch();
  while (UdpLink* const link = stalled_.Pop()) Touch(*link);
  Settle(now);
}

}  // namespace anywire::udp
