// Byte streams in pieces: while a ShortIo lives, every read and write of this process on a stream
// socket or a pipe moves only a few bytes, as any of them may at any time.
//
// A program that links this library has its own read, write, send, recv, sendmsg, recvmsg, readv
// and writev, and its own syscall for who makes recvfrom and sendto by their numbers, which
// otherwise do what the system's do. No transport knows of it, and whatever uses sockets by those
// calls is covered, in both directions.
#ifndef ANYWIRE_TESTS_SUPPORT_SHORT_IO_H_
#define ANYWIRE_TESTS_SUPPORT_SHORT_IO_H_

#include <cstddef>
#include <cstdint>

namespace anywire::test {

class ShortIo {
 public:
  // At most `piece` bytes a call, but for every sixteenth of those that it shortens: that moves up
  // to 4 KiB, or large messages would take minutes. One object at a time in a process.
  explicit ShortIo(size_t piece);
  ~ShortIo();
  ShortIo(const ShortIo&) = delete;
  ShortIo& operator=(const ShortIo&) = delete;

  // How often it has made a call do less than it was asked, since the process began. A test that
  // sees none was not handicapped.
  static uint64_t shortened();
};

}  // namespace anywire::test

#endif  // ANYWIRE_TESTS_SUPPORT_SHORT_IO_H_
