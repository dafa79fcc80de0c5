#include "tests/bench/raw_shm.h"

#include <errno.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "tests/bench/system.h"

namespace anywire::bench {
namespace {

constexpr size_t kRingSize = 1 << 20;
// The writer shows no more than this at a time, so that the reader copies out while it copies in.
constexpr size_t kPiece = 32 << 10;
// A writer that finds all read goes back to the start of the ring after so many bytes: small
// messages stay in the cache.
constexpr size_t kWarmSize = 8 << 10;
// How often one that waits looks whether the peer still exists.
constexpr unsigned kSpinsBetweenLooks = 1 << 16;
constexpr timespec kSleepBetweenLooks = {0, 100'000'000};

[[noreturn]] void DieOf(const std::string& what) { Die(what + ": " + strerror(errno)); }

// A thread that sleeps until one of the other process has brought about what it waits for.
class Sleeper {
 public:
  // Sleeps unless `ready`; may wake for nothing. False when nobody has woken it for long.
  template <typename Ready>
  bool Sleep(Ready ready) {
    asleep_.store(1, std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_seq_cst);
    const bool in_time =
        ready() ||
        syscall(SYS_futex, &asleep_, FUTEX_WAIT, 1, &kSleepBetweenLooks, nullptr, 0) == 0 ||
        errno != ETIMEDOUT;
    asleep_.store(0, std::memory_order_relaxed);
    return in_time;
  }
  // To be called after what it waits for has been stored: between that and looking for a sleeper,
  // as between announcing sleep and looking for news, is a full barrier (Dekker).
  void Wake() {
    std::atomic_thread_fence(std::memory_order_seq_cst);
    if (asleep_.load(std::memory_order_relaxed) == 0) return;
    asleep_.store(0, std::memory_order_relaxed);
    syscall(SYS_futex, &asleep_, FUTEX_WAKE, 1, nullptr, nullptr, 0);
  }

 private:
  std::atomic<uint32_t> asleep_{0};
};

// In the shared memory, zero at first. Positions are bytes since the beginning. What one side
// writes shares no cache line (no pair, as they are fetched) with what the other does, but for the
// end.
struct Ring {
  alignas(128) std::atomic<uint64_t> tail;  // all before it has been written
  std::atomic<uint64_t> start;              // what is unread begins no earlier
  std::atomic<bool> ended;                  // by either side
  alignas(128) std::atomic<uint64_t> head;  // all before it has been read
  alignas(128) Sleeper reader;
  alignas(128) Sleeper writer;
  alignas(4096) char bytes[kRingSize];
};

struct Memory {
  bool spins;  // the client's way to wait
  Ring up;
  Ring down;
};

class ShmConnection final : public RawConnection {
 public:
  ShmConnection(int fd, Memory* memory, Ring& in, Ring& out, bool spins)
      : fd_(fd), memory_(memory), spins_(spins), in_(in), out_(out) {}
  ~ShmConnection() override {
    Shutdown();
    munmap(memory_, sizeof *memory_);
    close(fd_);
  }

  void Write(absl::string_view bytes) override {
    if (tail_ >= warm_until_) GoBackIfRead();
    while (!bytes.empty()) {
      const auto has_room = [this] {
        if (out_.ended.load(std::memory_order_relaxed)) Die("the peer is gone");
        seen_head_ = std::max(out_.head.load(std::memory_order_acquire), start_);
        return tail_ - seen_head_ < kRingSize;
      };
      if (tail_ - seen_head_ == kRingSize && !Await(out_.writer, has_room)) Die("the peer is gone");
      const size_t place = tail_ % kRingSize;
      const size_t size =
          std::min({bytes.size(), kRingSize - (tail_ - seen_head_), kRingSize - place, kPiece});
      memcpy(out_.bytes + place, bytes.data(), size);
      bytes.remove_prefix(size);
      tail_ += size;
      out_.tail.store(tail_, std::memory_order_release);
      if (!spins_) out_.reader.Wake();
    }
  }

  size_t Read(char* buffer, size_t size) override {
    const auto has_bytes = [this] {
      const bool ended = in_.ended.load(std::memory_order_acquire);  // before the last tail is read
      seen_tail_ = in_.tail.load(std::memory_order_acquire);
      return seen_tail_ != head_ || ended;
    };
    if (!Await(in_.reader, has_bytes) || seen_tail_ == head_) return 0;
    head_ = std::max(head_, in_.start.load(std::memory_order_relaxed));
    const size_t place = head_ % kRingSize;
    const size_t got = std::min(size, static_cast<size_t>(seen_tail_ - head_));
    const size_t before_wrap = std::min(got, kRingSize - place);
    memcpy(buffer, in_.bytes + place, before_wrap);
    memcpy(buffer + before_wrap, in_.bytes, got - before_wrap);
    head_ += got;
    in_.head.store(head_, std::memory_order_release);
    // A writer that has slept gets enough room to be worth it.
    if (!spins_ && seen_tail_ - head_ <= kRingSize / 2) in_.writer.Wake();
    return got;
  }

  void EndWriting() override { End(out_); }

  void Shutdown() override {
    End(in_);
    End(out_);
  }

 private:
  static void End(Ring& ring) {
    ring.ended.store(true, std::memory_order_release);
    ring.reader.Wake();
    ring.writer.Wake();
  }

  // False when the peer is gone instead.
  template <typename Ready>
  bool Await(Sleeper& sleeper, Ready ready) {
    while (true) {
      if (spins_) {
        for (unsigned i = 0; i < kSpinsBetweenLooks; ++i) {
          if (ready()) return true;
          __builtin_ia32_pause();
        }
      } else {
        do {
          if (ready()) return true;
        } while (sleeper.Sleep(ready));
      }
      char none;
      if (recv(fd_, &none, 1, MSG_PEEK | MSG_DONTWAIT) == 0) return ready();
    }
  }

  // The reader, which has read up to the tail, goes on at the next multiple of the ring's size. It
  // looks at `start` only after a tail that is beyond it.
  void GoBackIfRead() {
    warm_until_ = tail_ + kWarmSize;
    if (tail_ % kRingSize < kWarmSize || out_.head.load(std::memory_order_acquire) != tail_) return;
    tail_ += kRingSize - tail_ % kRingSize;
    start_ = seen_head_ = tail_;
    warm_until_ = tail_ + kWarmSize;
    out_.start.store(start_, std::memory_order_relaxed);
  }

  const int fd_;
  Memory* const memory_;
  const bool spins_;
  // The reading thread's.
  alignas(128) Ring& in_;
  uint64_t head_ = 0;
  uint64_t seen_tail_ = 0;
  // The writing thread's.
  alignas(128) Ring& out_;
  uint64_t tail_ = 0;
  uint64_t seen_head_ = 0;  // no more than what may be written over
  uint64_t start_ = 0;
  uint64_t warm_until_ = kWarmSize;
};

Memory* Map(int memory_fd) {
  void* const address =
      mmap(nullptr, sizeof(Memory), PROT_READ | PROT_WRITE, MAP_SHARED, memory_fd, 0);
  if (address == MAP_FAILED) DieOf("cannot map memory");
  return static_cast<Memory*>(address);
}

// A message of one byte with room for a descriptor.
struct DescriptorMessage {
  DescriptorMessage() {
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof control;
  }
  DescriptorMessage(const DescriptorMessage&) = delete;

  char byte = 0;
  iovec part = {&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr header = {};
};

void SendDescriptor(int socket, int fd) {
  DescriptorMessage message;
  cmsghdr* const control = CMSG_FIRSTHDR(&message.header);
  control->cmsg_level = SOL_SOCKET;
  control->cmsg_type = SCM_RIGHTS;
  control->cmsg_len = CMSG_LEN(sizeof fd);
  memcpy(CMSG_DATA(control), &fd, sizeof fd);
  if (sendmsg(socket, &message.header, MSG_NOSIGNAL) != 1) DieOf("cannot pass memory");
}

int ReceiveDescriptor(int socket) {
  DescriptorMessage message;
  if (recvmsg(socket, &message.header, MSG_CMSG_CLOEXEC) != 1) DieOf("no memory was passed");
  const cmsghdr* const control = CMSG_FIRSTHDR(&message.header);
  if (control == nullptr || control->cmsg_type != SCM_RIGHTS) Die("no memory was passed");
  int fd;
  memcpy(&fd, CMSG_DATA(control), sizeof fd);
  return fd;
}

}  // namespace

std::unique_ptr<RawConnection> OfferMemory(int fd, bool spins) {
  const int memory_fd = memfd_create("anywire bench", MFD_CLOEXEC);
  if (memory_fd < 0 || ftruncate(memory_fd, sizeof(Memory)) != 0) DieOf("no memory to share");
  Memory* const memory = Map(memory_fd);
  memory->spins = spins;
  SendDescriptor(fd, memory_fd);
  close(memory_fd);
  return std::make_unique<ShmConnection>(fd, memory, memory->down, memory->up, spins);
}

std::unique_ptr<RawConnection> TakeMemory(int fd, bool spins) {
  const int memory_fd = ReceiveDescriptor(fd);
  Memory* const memory = Map(memory_fd);
  close(memory_fd);
  if (memory->spins != spins) Die("client and server wait in different ways");
  return std::make_unique<ShmConnection>(fd, memory, memory->up, memory->down, spins);
}

}  // namespace anywire::bench
