// What can be set of shared memory.
#ifndef ANYWIRE_TRANSPORTS_SHM_SHM_OPTIONS_H_
#define ANYWIRE_TRANSPORTS_SHM_SHM_OPTIONS_H_

#include <sys/stat.h>

#include <chrono>
#include <cstddef>

#include "anywire/transport.h"

namespace anywire {

struct ShmOptions {
  // Bytes of each of the two rings; the listening side's counts. See CheckRingSize. Only what has
  // been used is in memory. A message of up to half a ring is written and read where it lies there;
  // larger ones pass through in parts.
  size_t ring_size = 4 << 20;
  // Whose frames over kCopiedFrameSize (shm_input.h) are parsed in the ring: they are trusted. For
  // kSameUser that is more than the system trusts them with where Yama or a sandbox keeps them from
  // debugging us, or we are not dumpable; there, kNever. An id that our user namespace does not
  // know is nobody's.
  InPlace in_place = InPlace::kSameUser;
  // Permissions of the meeting socket's file; connecting needs the permission to write.
  mode_t mode = 0600;
  int backlog = 1024;  // connections that wait for the listening side
  // Offers of a listener that are not known to have been read, those of connections that it has
  // given up included (shm_offers.h); who comes then waits. Well below RLIMIT_NOFILE, which all
  // processes of the user have in common here.
  size_t max_unread_offers = 64;
  // How long the peer may take for its part of the handshake.
  std::chrono::nanoseconds handshake_timeout = std::chrono::seconds(5);
};

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_SHM_SHM_OPTIONS_H_
