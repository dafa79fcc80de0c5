// What the system holds for a UDP socket of this host, and what it has dropped (udp(7)).
#ifndef ANYWIRE_TESTS_UDP_RECEIVE_QUEUE_H_
#define ANYWIRE_TESTS_UDP_RECEIVE_QUEUE_H_

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>

#include "absl/strings/string_view.h"
#include "transports/tcp/socket_address.h"

namespace anywire::test {

class ReceiveQueue {
 public:
  // Of the socket at this IPv4 address; there has to be one.
  explicit ReceiveQueue(absl::string_view address) : port_(ParseHostPort(address)->port) {}

  // Waits until little is in it. A Watchdog bounds that.
  void AwaitRoom() {
    while (Look() > kLittle) std::this_thread::yield();
  }
  // Datagrams for which there was no room, since the socket was made.
  uint64_t drops() {
    Look();
    return drops_;
  }

 private:
  static constexpr uint64_t kLittle = 64 << 10;

  // Bytes, as the system counts them.
  uint64_t Look() {
    std::ifstream table("/proc/net/udp");
    std::string line;
    while (std::getline(table, line)) {
      unsigned port = 0;
      unsigned long long queued = 0, drops = 0;
      // sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode
      // ref pointer drops
      if (std::sscanf(line.c_str(),
                      " %*d: %*8x:%x %*8x:0000 %*x %*x:%llx %*x:%*x %*x %*u %*u %*u %*d %*s %llu",
                      &port, &queued, &drops) == 3 &&
          port == port_) {
        drops_ = drops;
        return queued;
      }
    }
    std::abort();
  }

  const unsigned port_;
  uint64_t drops_ = 0;
};

}  // namespace anywire::test

#endif  // ANYWIRE_TESTS_UDP_RECEIVE_QUEUE_H_
