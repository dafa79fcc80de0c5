#include "tests/conformance/transport/peer.h"

#include <cstring>
#include <utility>

#include "gtest/gtest.h"

namespace anywire::test {

std::string Content(uint64_t stream, uint64_t number, size_t size) {
  std::string result(size, '\0');
  uint64_t state = stream * 0x9E3779B97F4A7C15u + number * 0xBF58476D1CE4E5B9u + size;
  for (size_t i = 0; i < size; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    result[i] = static_cast<char>(state >> 56);
  }
  return result;
}

MessageMemory MemoryWith(absl::string_view bytes, size_t offset) {
  MessageMemory memory = NewMessageMemory(offset + bytes.size());
  std::memcpy(memory.get() + offset, bytes.data(), bytes.size());
  return memory;
}

Peer::Peer(EventLoop& loop, std::unique_ptr<Connection> connection)
    : loop_(loop), connection_(std::move(connection)) {
  connection_->Start(*this);
}

Peer::~Peer() { Destroy(); }

void Peer::Destroy() {
  if (connection_ == nullptr) return;
  loop_.RunAndWait([this] { connection_.reset(); });
}

bool Peer::TryWrite(uint64_t stream, absl::string_view bytes) {
  absl::MutexLock lock(&fill_mutex_);
  const absl::Span<uint8_t> room = connection_->NewFrame(stream, bytes.size());
  if (room.data() == nullptr) return false;
  EXPECT_EQ(bytes.size(), room.size());
  std::memcpy(room.data(), bytes.data(), bytes.size());
  return true;
}

bool Peer::TryAdd(uint64_t stream, MessageMemory& memory, size_t offset, size_t size) {
  absl::MutexLock lock(&fill_mutex_);
  return connection_->AddFrame(stream, memory, offset, size);
}

bool Peer::TryAddPiece(uint64_t stream, absl::string_view head, const SharedMessageMemory& memory,
                       size_t offset, size_t size) {
  absl::MutexLock lock(&fill_mutex_);
  const auto* const bytes = reinterpret_cast<const uint8_t*>(head.data());
  return connection_->AddPiece(stream, absl::MakeConstSpan(bytes, head.size()), memory, offset,
                               size);
}

bool Peer::Publish() {
  absl::MutexLock lock(&mutex_);
  if (transmitting_) return true;
  absl::MutexLock fill_lock(&fill_mutex_);
  return connection_->Publish();
}

absl::Status Peer::TransmitUntil(Instant wait_until) {
  {
    absl::MutexLock lock(&mutex_);
    transmit_again_ = true;
    if (transmitting_) return absl::OkStatus();
    transmitting_ = true;
  }
  for (;;) {
    {
      absl::MutexLock lock(&mutex_);
      if (!std::exchange(transmit_again_, false) || !send_status_.ok()) {
        transmitting_ = false;
        return send_status_;
      }
    }
    {
      absl::MutexLock lock(&fill_mutex_);
      connection_->Publish();
    }
    absl::Status status =
        wait_until > Instant() ? connection_->TransmitUntil(wait_until) : connection_->Transmit();
    absl::MutexLock lock(&mutex_);
    send_status_ = std::move(status);
  }
}

absl::Status Peer::Send(uint64_t stream, absl::string_view bytes) {
  for (;;) {
    const int before = writable_calls();
    if (TryWrite(stream, bytes)) return Transmit();
    absl::Status status = Transmit();
    if (!status.ok()) return status;
    if (!WaitForWritableCalls(before + 1)) {
      absl::MutexLock lock(&mutex_);
      if (!send_status_.ok()) return send_status_;
      return absl::DeadlineExceededError("OnWritable does not come");
    }
  }
}

absl::Status Peer::Receive(size_t count, std::vector<Frame>& frames) {
  const Instant deadline = Patience();
  for (Frame& frame : left_over_) frames.push_back(std::move(frame));
  left_over_.clear();
  while (frames.size() < count) {
    absl::StatusOr<absl::Span<const ReceivedFrame>> received = connection_->Receive(deadline);
    if (!received.ok()) return received.status();
    if (received->empty() && std::chrono::steady_clock::now() >= deadline) {
      return absl::DeadlineExceededError("nothing comes");
    }
    for (const ReceivedFrame& frame : *received) {
      EXPECT_GE(frame.bytes.size(), 1u);
      EXPECT_LE(frame.bytes.size(), max_frame_size());
      frames.push_back({frame.stream, std::string(reinterpret_cast<const char*>(frame.bytes.data()),
                                                  frame.bytes.size())});
    }
    connection_->ReleaseFrames();
  }
  return absl::OkStatus();
}

absl::StatusOr<Frame> Peer::ReceiveOne() {
  std::vector<Frame> frames;
  absl::Status status = Receive(1, frames);
  if (!status.ok()) return status;
  left_over_.assign(frames.begin() + 1, frames.end());
  return frames[0];
}

absl::Status Peer::ReceiveEnd() {
  std::vector<Frame> frames;
  return Receive(SIZE_MAX, frames);
}

int Peer::readable_calls() const {
  absl::MutexLock lock(&mutex_);
  return readable_calls_;
}

bool Peer::WaitForReadableCalls(int count) {
  absl::MutexLock lock(&mutex_);
  const auto enough = [this, count]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return readable_calls_ >= count;
  };
  return mutex_.AwaitWithTimeout(absl::Condition(&enough), absl::FromChrono(kPatience));
}

int Peer::writable_calls() const {
  absl::MutexLock lock(&mutex_);
  return writable_calls_;
}

bool Peer::WaitForWritableCalls(int count) {
  absl::MutexLock lock(&mutex_);
  // Sending may have failed in the hands of another thread, which then was the one to hear of it.
  const auto settled = [this, count]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return writable_calls_ >= count || !send_status_.ok();
  };
  mutex_.AwaitWithTimeout(absl::Condition(&settled), absl::FromChrono(kPatience));
  return writable_calls_ >= count;
}

void Peer::OnReadable() {
  {
    absl::MutexLock lock(&mutex_);
    EXPECT_EQ(0, in_readable_++) << "two calls of OnReadable at once";
    ++readable_calls_;
  }
  if (on_readable_) on_readable_();
  absl::MutexLock lock(&mutex_);
  --in_readable_;
}

void Peer::OnWritable() {
  {
    absl::MutexLock lock(&mutex_);
    EXPECT_EQ(0, in_writable_++) << "two calls of OnWritable at once";
  }
  Transmit().IgnoreError();  // whoever sends next hears of it
  if (on_writable_) on_writable_();
  absl::MutexLock lock(&mutex_);
  --in_writable_;
  ++writable_calls_;
}

}  // namespace anywire::test
