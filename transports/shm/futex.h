// futex(2) on a word that several processes have mapped.
//
// Threads sleep by it and not on a descriptor because nobody can make its wake-up block: a
// descriptor's O_NONBLOCK belongs to all who share it, and a peer that cleared it and filled the
// counter of an eventfd would stop whoever rings.
#ifndef ANYWIRE_TRANSPORTS_SHM_FUTEX_H_
#define ANYWIRE_TRANSPORTS_SHM_FUTEX_H_

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>

namespace anywire {

// Sleeps while the 4 bytes at `word` are `value`, until woken, for at most `limit`. Returns early
// without cause, too.
inline void FutexWait(const void* word, uint32_t value, std::chrono::nanoseconds limit) {
  const timespec timeout = {static_cast<time_t>(limit.count() / 1'000'000'000),
                            static_cast<long>(limit.count() % 1'000'000'000)};
  syscall(SYS_futex, word, FUTEX_WAIT, value, &timeout, nullptr, 0);
}

// Wakes one thread that sleeps on `word`. No more: whoever has mapped the word may park threads on
// it by the thousand, and waking those would be work of ours.
inline void FutexWakeOne(const void* word) {
  syscall(SYS_futex, word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_SHM_FUTEX_H_
