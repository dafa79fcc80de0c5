// Offers that are on their way: sent, and not known to have been read.
//
// The descriptor that travels with an offer is charged to the listening side's user (RLIMIT_NOFILE)
// for as long as the peer does not read it or close its socket, whatever we do with ours. So a
// listener counts them, those of connections that it has given up too, by what the kernel says of
// each socket, and makes no more than so many.
#ifndef ANYWIRE_TRANSPORTS_SHM_SHM_OFFERS_H_
#define ANYWIRE_TRANSPORTS_SHM_SHM_OFFERS_H_

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "anywire/mutex.h"
#include "transports/stream/unique_fd.h"

namespace anywire {

// Of one listener. Any thread.
class UnreadOffers {
 public:
  explicit UnreadOffers(size_t limit) : limit_(limit) {}

  // Whether another offer may be sent now.
  bool HasRoom() ABSL_LOCKS_EXCLUDED(mutex_);
  // One has been sent on `socket`, which stays open until Ended.
  void Sent(int socket) ABSL_LOCKS_EXCLUDED(mutex_);
  // The connection of a socket that was Sent is over. If the offer is still unread the socket is
  // kept, since it alone can tell for how long.
  void Ended(UniqueFd socket) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void ForgetThoseRead() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t limit_;
  Mutex mutex_;
  std::vector<int> open_ ABSL_GUARDED_BY(mutex_);
  std::vector<UniqueFd> ended_ ABSL_GUARDED_BY(mutex_);
};

// A connection's socket and, on the listening side, the offer that was sent on it.
class ShmSocket {
 public:
  // The connecting side's.
  explicit ShmSocket(UniqueFd fd) : fd_(std::move(fd)) {}
  // The listening side's; the offer has been sent.
  ShmSocket(UniqueFd fd, std::shared_ptr<UnreadOffers> offers)
      : fd_(std::move(fd)), offers_(std::move(offers)) {
    offers_->Sent(fd_.get());
  }
  // Ends it for the peer, also where another process has inherited the descriptor.
  ~ShmSocket();
  ShmSocket(ShmSocket&&) = default;
  ShmSocket& operator=(ShmSocket&&) = delete;

  int get() const { return fd_.get(); }

 private:
  UniqueFd fd_;
  std::shared_ptr<UnreadOffers> offers_;
};

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_SHM_SHM_OFFERS_H_
