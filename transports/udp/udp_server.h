// The accepting side: the sockets of one address, one for each loop, and on each the connections
// that the kernel has dealt to it.
#ifndef ANYWIRE_TRANSPORTS_UDP_UDP_SERVER_H_
#define ANYWIRE_TRANSPORTS_UDP_UDP_SERVER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "anywire/event_loop.h"
#include "transports/tcp/socket_address.h"
#include "transports/udp/reliability/endpoint_machine.h"
#include "transports/udp/udp_backlog.h"
#include "transports/udp/udp_options.h"
#include "transports/udp/udp_socket.h"

namespace anywire::udp {

class UdpServer;

// One of them.
class UdpServerSocket final : public UdpSocket {
 public:
  // `server` has it, and `bound` is where.
  UdpServerSocket(std::weak_ptr<UdpServer> server, const SocketAddress& bound, EventLoop& loop,
                  WaiterPool& waiters, DatagramSocket socket, const UdpOptions& options);
  ~UdpServerSocket() noexcept override;

  // ---- any thread
  absl::Status Watch() { return Open(); }
  // New connections are taken, and go there.
  void ListenFor(std::shared_ptr<UdpBacklog> backlog);
  // Takes in what has come, and then no new connections. Those half open go on.
  void StopListening();
  // No connections go there any more.
  void Leave(const UdpBacklog& backlog);
  // Connections that have begun and may yet go there.
  size_t begun(const UdpBacklog& backlog) const;

 private:
  // A link is a machine's tag.
  static UdpLink& LinkOf(const ConnectionMachine& machine) {
    return *static_cast<UdpLink*>(machine.tag());
  }

  void Take(Instant now, const DatagramPath& from, absl::Span<const uint8_t> datagram) override
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnSettled(UdpLink& link) override ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Destroy(UdpLink& link) override ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  std::shared_ptr<void> Keep() override { return server_.lock(); }
  // Gives it to Accept, if there is room.
  void Announce(UdpLink& link) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  static EndpointOptions MachineOptions(const UdpOptions& options);

  const UdpOptions options_;
  const std::weak_ptr<UdpServer> server_;
  const SocketAddress bound_;
  std::shared_ptr<UdpBacklog> backlog_ ABSL_GUARDED_BY(mutex_);
  EndpointMachine machine_ ABSL_GUARDED_BY(mutex_);
  // Links that are not announced. (Not machine_.half_open(): those that have opened are announced
  // when they have been flushed, and the lock is released for that.)
  size_t unannounced_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<UdpLink*, std::unique_ptr<UdpLink>> links_ ABSL_GUARDED_BY(mutex_);
};

// They live together: the kernel deals peers to sockets by how many there are.
class UdpServer final : public std::enable_shared_from_this<UdpServer> {
 public:
  // ALREADY_EXISTS when the address is taken. On any loop's thread; `loops` is not empty.
  static absl::StatusOr<std::shared_ptr<UdpServer>> Bind(const std::vector<EventLoop*>& loops,
                                                         WaiterPool& waiters,
                                                         const SocketAddress& address,
                                                         const UdpOptions& options);
  // Use Bind.
  UdpServer(const std::vector<EventLoop*>& loops, const SocketAddress& address)
      : loops_(loops), address_(address) {}
  // Closes the sockets, each on its loop.
  ~UdpServer();

  const SocketAddress& address() const { return address_; }
  const std::vector<EventLoop*>& loops() const { return loops_; }

  // Whether nobody listened, and the caller does from now on: ListenFor follows. Whoever called
  // Bind does.
  bool TryClaim() { return !is_claimed_.exchange(true); }
  // As those of its sockets.
  void ListenFor(const std::shared_ptr<UdpBacklog>& backlog);
  void StopListening();
  void Leave(const UdpBacklog& backlog);
  size_t begun(const UdpBacklog& backlog) const;

 private:
  const std::vector<EventLoop*> loops_;
  const SocketAddress address_;
  std::atomic<bool> is_claimed_{true};  // until StopListening
  std::vector<std::unique_ptr<UdpServerSocket>> sockets_;
};

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_UDP_SERVER_H_
