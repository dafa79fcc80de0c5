// Somebody between a client and a server of datagrams, who sees all that they send and can send
// more in either's name.
#ifndef ANYWIRE_TESTS_UDP_MAN_IN_THE_MIDDLE_H_
#define ANYWIRE_TESTS_UDP_MAN_IN_THE_MIDDLE_H_

#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "transports/stream/unique_fd.h"
#include "transports/tcp/socket_address.h"

namespace anywire::test {

using Datagram = std::vector<uint8_t>;

class ManInTheMiddle {
 public:
  // Hears of every datagram on its way, on a thread of ours.
  using OnDatagram = std::function<void(bool to_server, const Datagram& datagram)>;

  // Between the server at this numeric address and one client at a time: the last that has sent
  // something. All clients are the same one to the server.
  ManInTheMiddle(absl::string_view server, OnDatagram on_datagram);
  ~ManInTheMiddle();

  // Where clients connect: "127.0.0.1:5000".
  const std::string& address() const { return address_; }

  // Sends a datagram in the other side's name, or none when the system has no room. Any thread.
  void ToServer(absl::Span<const uint8_t> datagram);
  void ToClient(absl::Span<const uint8_t> datagram) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Run();
  void PassOn(bool to_server);

  const OnDatagram on_datagram_;
  UniqueFd towards_server_;  // connected
  UniqueFd towards_client_;
  UniqueFd end_[2];  // a pipe: closed when it is over
  std::string address_;
  absl::Mutex mutex_;
  SocketAddress client_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace anywire::test

#endif  // ANYWIRE_TESTS_UDP_MAN_IN_THE_MIDDLE_H_
