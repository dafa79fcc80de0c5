// The file of a listening Unix socket: how it comes to a path and goes from it without ever harming
// what somebody else has put there.
//
// Who listens at PATH holds a lock on PATH.lock, from before it looks at PATH until it has removed
// it. So of two servers that start at once, one waits for nothing and fails, and the check "is the
// socket dead?" and its removal are not torn apart. The lock goes with its process; so a crashed
// server leaves two files, which its successor takes over.
#ifndef ANYWIRE_TRANSPORTS_UNIX_SOCKET_FILE_H_
#define ANYWIRE_TRANSPORTS_UNIX_SOCKET_FILE_H_

#include <sys/stat.h>

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "transports/stream/unique_fd.h"

namespace anywire {

class SocketFile {
 public:
  // Binds `socket_fd` to `path` (checked). The file has at no time more permissions than `mode`,
  // and on return exactly those, whatever the umask.
  //
  // ALREADY_EXISTS when somebody listens there, or something that is no socket is there; a socket
  // whose server is dead is replaced. PERMISSION_DENIED, NOT_FOUND (no such folder).
  static absl::StatusOr<std::unique_ptr<SocketFile>> Bind(int socket_fd, const std::string& path,
                                                          mode_t mode);
  // Removes the file, if it is still ours, and then the lock.
  ~SocketFile();
  SocketFile(const SocketFile&) = delete;
  SocketFile& operator=(const SocketFile&) = delete;

 private:
  SocketFile(std::string path, UniqueFd lock) : path_(std::move(path)), lock_(std::move(lock)) {}

  absl::Status MakeWay();
  absl::Status SetMode(mode_t mode);

  const std::string path_;
  const UniqueFd lock_;
  bool bound_ = false;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_UNIX_SOCKET_FILE_H_
