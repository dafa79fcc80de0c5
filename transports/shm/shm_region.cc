#include "transports/shm/shm_region.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <utility>

#include "absl/numeric/bits.h"
#include "absl/strings/str_cat.h"
#include "transports/stream/errno_status.h"

namespace anywire {
namespace {

constexpr int kSizeSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

// Never to be executed, where the kernel knows how to say so (since 6.3).
UniqueFd CreateMemfd() {
  constexpr unsigned kFlags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  UniqueFd fd(memfd_create("anywire", kFlags | MFD_NOEXEC_SEAL));
  if (!fd.valid() && errno == EINVAL) fd.Reset(memfd_create("anywire", kFlags));
  return fd;
}

size_t PageSize() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

// The size of the file: the page of indices, and two rings.
uint64_t FileSize(uint64_t ring_size) { return PageSize() + 2 * ring_size; }

static_assert(2 * sizeof(ShmRegion::Words) <= 4096, "the indices fit in a page");

}  // namespace

absl::Status CheckRingSize(uint64_t ring_size) {
  if (absl::has_single_bit(ring_size) && ring_size >= PageSize() && ring_size <= kLargestRing) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("a ring of ", ring_size,
                                                 " bytes; allowed: powers of two from ", PageSize(),
                                                 " to ", kLargestRing));
}

absl::StatusOr<ShmRegion::New> ShmRegion::Create(size_t ring_size) {
  UniqueFd fd = CreateMemfd();
  if (!fd.valid()) return ErrnoStatus(errno, "memfd_create");
  if (ftruncate(fd.get(), static_cast<off_t>(FileSize(ring_size))) != 0 ||
      fcntl(fd.get(), F_ADD_SEALS, kSizeSeals) != 0) {
    return ErrnoStatus(errno, "the size of a memfd");
  }
  absl::StatusOr<std::unique_ptr<ShmRegion>> region = Map(fd.get(), ring_size);
  if (!region.ok()) return region.status();
  return New{std::move(fd), std::move(*region)};
}

absl::StatusOr<std::unique_ptr<ShmRegion>> ShmRegion::Open(int fd, uint64_t ring_size) {
  if (absl::Status status = CheckRingSize(ring_size); !status.ok()) {
    return absl::DataLossError(absl::StrCat("the peer has ", status.message()));
  }
  struct stat file;
  struct statfs system;
  if (fstat(fd, &file) != 0 || fstatfs(fd, &system) != 0) return ErrnoStatus(errno, "fstat");
  // No device, which may do anything when it is touched; no huge pages, which may be missing then.
  if (!S_ISREG(file.st_mode) || system.f_type != TMPFS_MAGIC) {
    return absl::DataLossError("what the peer has sent is no shared memory");
  }
  const int seals = fcntl(fd, F_GET_SEALS);
  if (seals < 0 || (seals & kSizeSeals) != kSizeSeals) {
    return absl::DataLossError("the size of the peer's memory is not sealed");
  }
  if (static_cast<uint64_t>(file.st_size) != FileSize(ring_size)) {
    return absl::DataLossError(absl::StrCat("the peer's memory has ", file.st_size,
                                            " bytes and not those of two rings of ", ring_size));
  }
  return Map(fd, ring_size);
}

absl::StatusOr<std::unique_ptr<ShmRegion>> ShmRegion::Map(int fd, size_t ring_size) {
  const size_t page = PageSize();
  void* const reserved = mmap(nullptr, page + 4 * ring_size, PROT_NONE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED) return ErrnoStatus(errno, "address space for shared memory");
  std::unique_ptr<ShmRegion> region(
      new ShmRegion(static_cast<uint8_t*>(reserved), page, ring_size));
  // In memory: indices, ring 0, ring 0, ring 1, ring 1. In the file: indices, ring 0, ring 1.
  struct Piece {
    size_t at, offset, size;
  };
  for (const Piece& piece :
       {Piece{0, 0, page + ring_size}, Piece{page + ring_size, page, ring_size},
        Piece{page + 2 * ring_size, page + ring_size, ring_size},
        Piece{page + 3 * ring_size, page + ring_size, ring_size}}) {
    if (mmap(region->base_ + piece.at, piece.size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
             fd, static_cast<off_t>(piece.offset)) == MAP_FAILED) {
      return ErrnoStatus(errno, "mapping shared memory");
    }
  }
  return region;
}

ShmRegion::~ShmRegion() { munmap(base_, mapped_size()); }

ShmRegion::Words& ShmRegion::words(Direction direction) const {
  return reinterpret_cast<Words*>(base_)[direction];
}

uint8_t* ShmRegion::ring(Direction direction) const {
  return base_ + page_size_ + (direction == kToListener ? 0 : 2 * ring_size_);
}

}  // namespace anywire
