// The atomics of the shared words, with death beside each store: the compiler is told to include
// this first (-include), and so it is here instead of transports/shm/native_atomics.h, whose
// include guard it takes. The code that ships knows nothing of it.
#ifndef ANYWIRE_TRANSPORTS_SHM_NATIVE_ATOMICS_H_
#define ANYWIRE_TRANSPORTS_SHM_NATIVE_ATOMICS_H_

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>

namespace anywire {
namespace test {

// There are two moments to die for each store: just before it, when all that belongs to the store
// before has been done, and just after it, when nobody has been woken for it yet. They are counted
// from 1 on, of all threads and connections of the process.
inline std::atomic<uint64_t> moments{0};
// At this one the process kills itself; 0: never.
inline std::atomic<uint64_t> moment_of_death{0};

inline void Moment() {
  if (moments.fetch_add(1) + 1 != moment_of_death.load()) return;
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

}  // namespace test

struct NativeAtomics {
  template <typename T>
  class Word {
   public:
    T LoadAcquire() const { return value_.load(std::memory_order_acquire); }
    T LoadSeqCst() const { return value_.load(std::memory_order_seq_cst); }
    void StoreRelaxed(T value) { Store(value, std::memory_order_relaxed); }
    void StoreSeqCst(T value) { Store(value, std::memory_order_seq_cst); }
    const void* address() const { return &value_; }

   private:
    void Store(T value, std::memory_order order) {
      test::Moment();
      value_.store(value, order);
      test::Moment();
    }
    std::atomic<T> value_;
  };
};

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_SHM_NATIVE_ATOMICS_H_
