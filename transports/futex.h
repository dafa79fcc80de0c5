// futex(2): threads that sleep until a word of 4 bytes changes.
//
// std::atomic::wait is for the same, but GCC's calls sched_yield a few times before it sleeps. The
// scheduler takes that for leave to run others first, and a waiter whose turn comes at once may
// lose milliseconds by it.
#ifndef ANYWIRE_TRANSPORTS_FUTEX_H_
#define ANYWIRE_TRANSPORTS_FUTEX_H_

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>

namespace anywire {

// ---- of threads of this process

// Sleeps while `word` is `value`, until woken. Returns early without cause, too.
inline void FutexWait(const std::atomic<uint32_t>& word, uint32_t value) {
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}

// Wakes one thread that sleeps on `word`, which may be gone already.
inline void FutexWakeOne(const std::atomic<uint32_t>* word) {
  syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

// ---- of processes that have the word mapped
//
// Nobody can make such a wake-up block, as with a descriptor: its O_NONBLOCK belongs to all who
// share it, and a peer that cleared it and filled the counter of an eventfd would stop whoever
// rings.

// The same for at most `limit`.
inline void SharedFutexWait(const void* word, uint32_t value, std::chrono::nanoseconds limit) {
  const timespec timeout = {static_cast<time_t>(limit.count() / 1'000'000'000),
                            static_cast<long>(limit.count() % 1'000'000'000)};
  syscall(SYS_futex, word, FUTEX_WAIT, value, &timeout, nullptr, 0);
}

// One thread and no more: whoever has mapped the word may park threads on it by the thousand, and
// waking those would be work of ours.
inline void SharedFutexWakeOne(const void* word) {
  syscall(SYS_futex, word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_FUTEX_H_
