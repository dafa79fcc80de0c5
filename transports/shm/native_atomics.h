// The atomics that the shared words are in production: the processor's. Tests have others, of the
// same form: a model checker's (ring_model_test.cc), and ones at which the process dies
// (tests/shm/deadly_atomics.h).
#ifndef ANYWIRE_TRANSPORTS_SHM_NATIVE_ATOMICS_H_
#define ANYWIRE_TRANSPORTS_SHM_NATIVE_ATOMICS_H_

#include <atomic>

namespace anywire {

struct NativeAtomics {
  template <typename T>
  class Word {
   public:
    T LoadAcquire() const { return value_.load(std::memory_order_acquire); }
    T LoadSeqCst() const { return value_.load(std::memory_order_seq_cst); }
    void StoreRelaxed(T value) { value_.store(value, std::memory_order_relaxed); }
    void StoreSeqCst(T value) { value_.store(value, std::memory_order_seq_cst); }
    const void* address() const { return &value_; }

   private:
    static_assert(std::atomic<T>::is_always_lock_free, "no locks between processes");
    std::atomic<T> value_;
  };
};

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_SHM_NATIVE_ATOMICS_H_
