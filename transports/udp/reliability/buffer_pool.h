// Memory for frames, and for what is kept of them, which are many and live shortly: it goes back to
// the pool and serves the next. One pool serves all connections of a thread, so that an idle one
// owns none.
#ifndef ANYWIRE_TRANSPORTS_UDP_RELIABILITY_BUFFER_POOL_H_
#define ANYWIRE_TRANSPORTS_UDP_RELIABILITY_BUFFER_POOL_H_

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

#include "transports/udp/reliability/options.h"

namespace anywire::udp {

// One user at a time. Outlives its buffers and objects.
class BufferPool {
 public:
  struct Return {
    BufferPool* pool = nullptr;
    uint8_t size_class = 0;
    void operator()(uint8_t* memory) const { pool->Put(memory, size_class); }
  };
  using Buffer = std::unique_ptr<uint8_t[], Return>;

  // The most that is kept for later, in bytes.
  static constexpr size_t kMostKept = 1 << 20;

  BufferPool() = default;
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  // An object in a buffer. There are many: its size is not kept with it.
  template <typename T>
  struct Destroy {
    BufferPool* pool = nullptr;
    void operator()(T* object) const {
      object->~T();
      pool->Put(reinterpret_cast<uint8_t*>(object), SizeClass(sizeof(T)));
    }
  };
  template <typename T>
  using Object = std::unique_ptr<T, Destroy<T>>;

  // A T as its default constructor makes it.
  template <typename T>
  Object<T> Make() {
    static_assert(alignof(T) <= alignof(std::max_align_t));
    return Object<T>(new (Take(sizeof(T)).release()) T(), Destroy<T>{this});
  }

  // At least `size` bytes, 1 to kLargestMaxFrameSize; less than twice as many, and at least 64.
  Buffer Take(size_t size);

  size_t kept() const { return kept_; }
  // Gives back what is kept.
  void Trim();

 private:
  // 64 bytes, 128 and so on.
  static constexpr int kClasses = 11;
  static constexpr size_t kSmallest = 64;
  static_assert(kSmallest << (kClasses - 1) == kLargestMaxFrameSize);
  // The least whose buffers have `size` bytes.
  static constexpr uint8_t SizeClass(size_t size) {
    return static_cast<uint8_t>(std::bit_width((size - 1) / kSmallest));
  }

  // What a buffer begins with while it is kept.
  struct Idle {
    Idle* next;
  };

  void Put(uint8_t* memory, uint8_t size_class);

  std::array<Idle*, kClasses> idle_{};
  size_t kept_ = 0;
};

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_RELIABILITY_BUFFER_POOL_H_
