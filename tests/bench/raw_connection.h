// A stream socket and the frames on it.
#ifndef ANYWIRE_TESTS_BENCH_RAW_CONNECTION_H_
#define ANYWIRE_TESTS_BENCH_RAW_CONNECTION_H_

#include <sys/socket.h>
#include <sys/un.h>

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace anywire::bench {

// What a frame is for; its first byte.
enum class FrameKind : uint8_t {
  kEcho,    // bytes that come back
  kCall,    // a number and a message; comes back with the message answered
  kUpload,  // empty; bytes follow to the end of the stream, and how many comes back
};

// In front of every frame.
struct FrameHeader {
  FrameKind kind = FrameKind::kEcho;
  uint32_t size = 0;    // bytes behind the header
  uint32_t number = 0;  // of a call
};

// An address of anywire's: tcp (the loopback and a port, which may be 0), unix, unix-abstract.
class SocketUri {
 public:
  explicit SocketUri(const std::string& uri);
  int Listen() const;
  int Connect() const;
  // The URI with the port that `listener` has.
  std::string Bound(int listener) const;

 private:
  int NewSocket() const;

  const std::string uri_;
  sockaddr_storage storage_ = {};
  socklen_t size_ = 0;
};

// Owns the descriptor.
class RawConnection {
 public:
  RawConnection(int fd, bool spins) : fd_(fd), spins_(spins) {}
  ~RawConnection();
  RawConnection(const RawConnection&) = delete;
  RawConnection& operator=(const RawConnection&) = delete;

  // All of it.
  void Write(absl::string_view bytes);
  // At least one byte, 0 at the end.
  size_t Read(char* buffer, size_t size);
  // All of it; false at the end.
  bool ReadAll(char* buffer, size_t size);
  // Nothing more is written.
  void EndWriting();
  // Ends a Read on another thread.
  void Shutdown();

 private:
  const int fd_;
  const bool spins_;
};

// Collects bytes and cuts frames out of them.
class FrameReader {
 public:
  explicit FrameReader(RawConnection& connection) : connection_(connection), buffer_(64 << 10, 0) {}
  // Reads once; false at the end.
  bool Fill();
  // The next frame that is complete, with its header. The view is good until the next Fill.
  bool Next(FrameHeader* header, absl::string_view* frame);

 private:
  RawConnection& connection_;
  std::string buffer_;
  size_t begin_ = 0;
  size_t end_ = 0;
};

}  // namespace anywire::bench

#endif  // ANYWIRE_TESTS_BENCH_RAW_CONNECTION_H_
