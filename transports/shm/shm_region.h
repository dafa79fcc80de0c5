// The memory that the two ends of a connection share: one memfd, a page of indices and a ring for
// each direction. PROTOCOL.md has the layout.
//
// The listening side makes it and seals its size before anybody else has it, so that no one can
// take pages away under a reader (SIGBUS). The connecting side maps nothing that is not sealed so.
// It has no name, and the kernel frees it with the last process that has it.
#ifndef ANYWIRE_TRANSPORTS_SHM_SHM_REGION_H_
#define ANYWIRE_TRANSPORTS_SHM_SHM_REGION_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "transports/shm/ring_indices.h"
#include "transports/stream/unique_fd.h"

namespace anywire {

// Bytes of a ring: a power of two, from a page to this. It is the connecting side's own limit, too:
// a peer that offers more is refused before anything is mapped. What it bounds is how much a peer
// that reads nothing has us write, and address space, four times as much.
inline constexpr size_t kLargestRing = size_t{64} << 20;
absl::Status CheckRingSize(uint64_t ring_size);

class ShmRegion {
 public:
  using Words = RingWords<NativeAtomics>;
  enum Direction { kToListener = 0, kToConnector = 1 };

  // The listening side's: a new region, zero throughout, and its descriptor. `ring_size` is
  // checked. RESOURCE_EXHAUSTED when there are no descriptors or no memory.
  struct New {
    UniqueFd fd;
    std::unique_ptr<ShmRegion> region;
  };
  static absl::StatusOr<New> Create(size_t ring_size);

  // The connecting side's: maps what the peer has sent. DATA_LOSS when it is no sealed memory of
  // the size that the peer said. Needs `fd` no longer afterwards.
  static absl::StatusOr<std::unique_ptr<ShmRegion>> Open(int fd, uint64_t ring_size);

  ~ShmRegion();
  ShmRegion(const ShmRegion&) = delete;
  ShmRegion& operator=(const ShmRegion&) = delete;

  size_t ring_size() const { return ring_size_; }
  Words& words(Direction direction) const;
  // The ring's bytes, and behind them the same bytes once more: what begins in the ring and is no
  // longer than it lies in one piece.
  uint8_t* ring(Direction direction) const;

 private:
  ShmRegion(uint8_t* base, size_t page_size, size_t ring_size)
      : base_(base), page_size_(page_size), ring_size_(ring_size) {}
  static absl::StatusOr<std::unique_ptr<ShmRegion>> Map(int fd, size_t ring_size);
  size_t mapped_size() const { return page_size_ + 4 * ring_size_; }

  uint8_t* const base_;
  const size_t page_size_;
  const size_t ring_size_;
};

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_SHM_SHM_REGION_H_
