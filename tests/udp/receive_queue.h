// What the system holds for a UDP socket of this host, and what it has dropped (udp(7)).
#ifndef ANYWIRE_TESTS_UDP_RECEIVE_QUEUE_H_
#define ANYWIRE_TESTS_UDP_RECEIVE_QUEUE_H_

#include <arpa/inet.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <string>
#include <thread>

#include "absl/strings/string_view.h"
#include "transports/tcp/socket_address.h"

namespace anywire::test {

class ReceiveQueue {
 public:
  // Of the socket at this IPv4 address; there has to be one.
  explicit ReceiveQueue(absl::string_view address)
      : host_(inet_addr(ParseHostPort(address)->host.c_str())),
        port_(ParseHostPort(address)->port) {}

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
    // The system gives the table in parts, and leaves rows out where others come or go meanwhile.
    constexpr int kTries = 1000;
    for (int i = 0; i < kTries; ++i) {
      if (const std::optional<uint64_t> queued = TryToLook()) return *queued;
    }
    std::abort();
  }
  std::optional<uint64_t> TryToLook() {
    std::ifstream table("/proc/net/udp");
    std::string line;
    while (std::getline(table, line)) {
      unsigned host = 0, port = 0;
      unsigned long long queued = 0, drops = 0;
      // sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode
      // ref pointer drops
      if (std::sscanf(line.c_str(),
                      " %*d: %x:%x %*8x:0000 %*x %*x:%llx %*x:%*x %*x %*u %*u %*u %*d %*s %llu",
                      &host, &port, &queued, &drops) == 4 &&
          host == host_ && port == port_) {
        drops_ = drops;
        return queued;
      }
    }
    return std::nullopt;
  }

  const uint32_t host_;  // as it is in memory
  const unsigned port_;
  uint64_t drops_ = 0;
};

}  // namespace anywire::test

#endif  // ANYWIRE_TESTS_UDP_RECEIVE_QUEUE_H_
