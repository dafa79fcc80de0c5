// Networks and systems that are not as one would like: while a DatagramFaults lives, the sendmsg
// and sendmmsg of this process do to datagrams what a test says. The transport knows nothing of it.
#ifndef ANYWIRE_TRANSPORTS_UDP_DATAGRAM_FAULTS_H_
#define ANYWIRE_TRANSPORTS_UDP_DATAGRAM_FAULTS_H_

#include <cstdint>
#include <functional>

#include "absl/types/span.h"

namespace anywire::udp::test {

// One object at a time in a process. Any thread may call any function.
class DatagramFaults {
 public:
  DatagramFaults();
  ~DatagramFaults();
  DatagramFaults(const DatagramFaults&) = delete;
  DatagramFaults& operator=(const DatagramFaults&) = delete;

  // Asked for each datagram, one at a time: whether it goes on its way. Null: all do.
  void LoseUnless(std::function<bool(absl::Span<const uint8_t> datagram)> arrives);
  // Messages that are to be cut into datagrams by the system fail so; 0: they do not.
  void RefuseSegmentation(int error);
  // The calls after the next `calls` fail so, `times` of them.
  void FailSends(int calls, int times, int error);

  // Calls that were made since the object began.
  int calls() const;
  // Messages to be cut among theirs.
  int segmented() const;
};

}  // namespace anywire::udp::test

#endif  // ANYWIRE_TRANSPORTS_UDP_DATAGRAM_FAULTS_H_
