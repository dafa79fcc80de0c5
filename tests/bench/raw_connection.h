// A stream of bytes both ways, and the frames on it.
#ifndef ANYWIRE_TESTS_BENCH_RAW_CONNECTION_H_
#define ANYWIRE_TESTS_BENCH_RAW_CONNECTION_H_

#include <cstddef>
#include <cstdint>
#include <memory>
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

// Bytes there and back, however they travel. One thread reads while another writes.
class RawConnection {
 public:
  virtual ~RawConnection() = default;

  // All of it.
  virtual void Write(absl::string_view bytes) = 0;
  // At least one byte, 0 at the end.
  virtual size_t Read(char* buffer, size_t size) = 0;
  // Nothing more is written.
  virtual void EndWriting() = 0;
  // Ends a Read on another thread.
  virtual void Shutdown() = 0;

  // All of it; false at the end.
  bool ReadAll(char* buffer, size_t size);
};

// How a connection is made of a socket, which it owns from then on.
struct RawTransport {
  std::unique_ptr<RawConnection> (*connected)(int fd, bool spins);  // the client's
  std::unique_ptr<RawConnection> (*accepted)(int fd, bool spins);   // the server's
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
