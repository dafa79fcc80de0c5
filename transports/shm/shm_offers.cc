#include "transports/shm/shm_offers.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

namespace anywire {
namespace {

// Whether the peer has read all that was sent on it, or closed its end. (A byte that wakes it and
// that it has not read yet looks like an offer. It reads those whenever its loop runs.)
bool IsRead(int socket) {
  int unread = 0;
  return ioctl(socket, SIOCOUTQ, &unread) != 0 || unread == 0;
}

}  // namespace

bool UnreadOffers::HasRoom() {
  MutexLock lock(&mutex_);
  if (open_.size() + ended_.size() >= limit_) ForgetThoseRead();
  return open_.size() + ended_.size() < limit_;
}

void UnreadOffers::Sent(int socket) {
  MutexLock lock(&mutex_);
  ForgetThoseRead();  // mostly all, so that it is few that are looked at
  open_.push_back(socket);
}

void UnreadOffers::Ended(UniqueFd socket) {
  MutexLock lock(&mutex_);
  if (std::erase(open_, socket.get()) > 0 && !IsRead(socket.get())) {
    ended_.push_back(std::move(socket));
  }
}

void UnreadOffers::ForgetThoseRead() {
  std::erase_if(open_, IsRead);
  std::erase_if(ended_, [](const UniqueFd& socket) { return IsRead(socket.get()); });
}

ShmSocket::~ShmSocket() {
  if (!fd_.valid()) return;
  shutdown(fd_.get(), SHUT_RDWR);
  if (offers_ != nullptr) offers_->Ended(std::move(fd_));
}

}  // namespace anywire
