// The memory that a thread moves datagrams with: too large for its stack, and kept for its next
// call.
#ifndef ANYWIRE_TRANSPORTS_UDP_THREAD_BATCH_H_
#define ANYWIRE_TRANSPORTS_UDP_THREAD_BATCH_H_

#include <memory>
#include <utility>

namespace anywire::udp {

// A SendBatch or ReceiveBatch for the time of a call. Any thread may have one at any time, even in
// what is destroyed at its end, after what it has kept.
template <typename Batch>
class ThreadBatch {
 public:
  ThreadBatch() : batch_(std::exchange(kept_, nullptr)) {
    if (batch_ == nullptr) batch_ = std::make_unique<Batch>();
  }
  ~ThreadBatch() {
    static thread_local const ThreadEnd at_end;
    static_cast<void>(&at_end);
    if (!is_over_ && kept_ == nullptr) kept_ = batch_.release();
  }
  ThreadBatch(const ThreadBatch&) = delete;
  ThreadBatch& operator=(const ThreadBatch&) = delete;

  Batch& operator*() const { return *batch_; }

 private:
  struct ThreadEnd {
    ~ThreadEnd() {
      is_over_ = true;
      delete std::exchange(kept_, nullptr);
    }
  };

  // Without destructors, so that they can still be asked after ThreadEnd's.
  static inline thread_local constinit Batch* kept_ = nullptr;
  static inline thread_local constinit bool is_over_ = false;

  std::unique_ptr<Batch> batch_;
};

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_THREAD_BATCH_H_
