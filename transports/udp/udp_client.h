// The connecting side: a connected socket for each connection.
//
// While a thread waits in Receive, it takes in what comes itself, and the loop does not look; a row
// of blocking calls changes no thread and costs no epoll. When nobody has received for a while, or
// the owner watches, the loop looks after the socket again.
#ifndef ANYWIRE_TRANSPORTS_UDP_UDP_CLIENT_H_
#define ANYWIRE_TRANSPORTS_UDP_UDP_CLIENT_H_

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "transports/tcp/socket_address.h"
#include "transports/udp/udp_options.h"
#include "transports/udp/udp_socket.h"

namespace anywire::udp {

class UdpClient final : public UdpSocket, public std::enable_shared_from_this<UdpClient> {
 public:
  // `peer`: a client of it begins to connect. On the loop's thread.
  static absl::StatusOr<std::shared_ptr<UdpClient>> Begin(EventLoop& loop, WaiterPool& waiters,
                                                          const SocketAddress& peer,
                                                          const UdpOptions& options);
  UdpClient(EventLoop& loop, WaiterPool& waiters, DatagramSocket socket, const SocketAddress& peer,
            const UdpOptions& options);  // use Begin
  ~UdpClient() noexcept override;

  // Once, on the loop's thread and not inside Begin: how the attempt has ended.
  void OnEnd(std::function<void(const absl::Status&)> tell) { tell_ = std::move(tell); }
  // After it has ended well, once.
  std::unique_ptr<Connection> TakeConnection();

 private:
  void Take(Instant now, const DatagramPath& from, absl::Span<const uint8_t> datagram) override
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnIcmp(int error) override ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  bool Await(UdpLink& link, Waiter* UdpLink::*waiter, Instant wait_until) override
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnWatched() override ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnAlarmBegins(Instant now) override;
  void OnTurnEnds() override;
  void Destroy(UdpLink& link) override ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::shared_ptr<void> Keep() override { return weak_from_this().lock(); }

  const SocketAddress peer_;
  const size_t datagram_size_;
  UdpLink link_ ABSL_GUARDED_BY(mutex_);
  absl::Status refused_ ABSL_GUARDED_BY(mutex_);   // by ICMP, while it opens
  Instant last_read_ ABSL_GUARDED_BY(mutex_);      // by a thread that receives
  std::function<void(const absl::Status&)> tell_;  // the loop's
};

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_UDP_CLIENT_H_
