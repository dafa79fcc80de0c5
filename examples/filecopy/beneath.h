// Opening what lies below a folder, and nothing else: a path from the other side of a connection
// must not lead out of the tree, neither by ".." nor through a symbolic link that somebody put
// there.
#ifndef ANYWIRE_EXAMPLES_FILECOPY_BENEATH_H_
#define ANYWIRE_EXAMPLES_FILECOPY_BENEATH_H_

#include <sys/types.h>
#include <unistd.h>

#include <cstddef>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace anywire::examples {

// Owns a file descriptor.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~UniqueFd() {
    if (fd_ >= 0) close(fd_);
  }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

// Longest path that either side takes, in bytes.
constexpr size_t kMaxPathSize = 32 * 1024;

// `path` in printable ASCII, whatever bytes it has.
std::string Readable(absl::string_view path);

// The status of a failed system call: "<path>: <what>: <errno in words>".
absl::Status FileError(int error, absl::string_view path, absl::string_view what);

// INVALID_ARGUMENT unless `path` is relative, not longer than kMaxPathSize, and made of names other
// than "", "." and
// "..", without zero bytes.
absl::Status CheckRelativePath(absl::string_view path);

// Opens `path` below `root` for openat's `flags` (O_NOFOLLOW and O_CLOEXEC are added). No symbolic
// link is followed on the way: PERMISSION_DENIED names it. An empty path is the root itself.
absl::StatusOr<UniqueFd> OpenBeneath(int root, absl::string_view path, int flags);

// The folder that `path` is in, opened as above, and the last name.
struct Place {
  UniqueFd folder;
  std::string name;
};
absl::StatusOr<Place> OpenPlace(int root, absl::string_view path);

}  // namespace anywire::examples

#endif  // ANYWIRE_EXAMPLES_FILECOPY_BENEATH_H_
