// How the two sides agree on a region, over the meeting socket; PROTOCOL.md has the bytes.
//
//   connecting side                     listening side
//     preface ───────────────────────────>
//     <─────────────────────────────────── offer, and with it the memfd
//
// Nothing here waits: sending is done at once on a new socket, and the offer is read as it comes.
#ifndef ANYWIRE_TRANSPORTS_SHM_SHM_HANDSHAKE_H_
#define ANYWIRE_TRANSPORTS_SHM_SHM_HANDSHAKE_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "transports/shm/shm_region.h"
#include "transports/stream/preface.h"
#include "transports/stream/unique_fd.h"

namespace anywire {

// kShmPreface, then the size of a ring, 8 bytes with the least significant first.
inline constexpr size_t kShmOfferSize = kPrefaceSize + 8;

absl::Status SendShmPreface(int socket);
absl::Status SendShmOffer(int socket, int memfd, uint64_t ring_size);

// The connecting side's reading of the offer.
class ShmOfferReader {
 public:
  // Reads what is there. True when the offer is complete. DATA_LOSS when it is no offer or does not
  // come with exactly one descriptor; whatever has come is closed then. UNAVAILABLE at the end of
  // the stream.
  absl::StatusOr<bool> Read(int socket);
  // Maps what has been offered; see ShmRegion::Open.
  absl::StatusOr<std::unique_ptr<ShmRegion>> Open() const;

 private:
  uint8_t bytes_[kShmOfferSize];
  size_t size_ = 0;
  UniqueFd memfd_;
};

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_SHM_SHM_HANDSHAKE_H_
