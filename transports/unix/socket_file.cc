#include "transports/unix/socket_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "transports/stream/errno_status.h"
#include "transports/unix/unix_address.h"

namespace anywire {
namespace {

// Each one more than the first means that another server has come and gone in between.
constexpr int kLockAttempts = 100;

std::string LockPath(const std::string& path) { return path + ".lock"; }

absl::Status InUse(const std::string& path) {
  return absl::AlreadyExistsError(absl::StrCat("another server listens at ", path));
}

absl::Status FileStatus(int error, const std::string& path) {
  if (error == ENOENT) {
    return absl::NotFoundError(absl::StrCat("the folder of ", path, " does not exist"));
  }
  return ErrnoStatus(error, path);
}

bool IsSameFile(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

// Locks the file at `path`, which goes from there with the lock. So what has been locked may no
// longer be there, and another be there that is not locked.
absl::StatusOr<UniqueFd> Lock(const std::string& socket_path) {
  const std::string path = LockPath(socket_path);
  for (int i = 0; i < kLockAttempts; ++i) {
    UniqueFd fd(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
    if (!fd.valid()) return FileStatus(errno, path);
    struct stat locked, present;
    if (fstat(fd.get(), &locked) != 0) return FileStatus(errno, path);
    if (!S_ISREG(locked.st_mode)) {
      return absl::AlreadyExistsError(absl::StrCat(path, " is no lock file and is left alone"));
    }
    if (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK) return InUse(socket_path);
      return FileStatus(errno, path);
    }
    if (lstat(path.c_str(), &present) == 0 && IsSameFile(locked, present)) return fd;
  }
  return InUse(socket_path);
}

}  // namespace

absl::StatusOr<std::unique_ptr<SocketFile>> SocketFile::Bind(int socket_fd, const std::string& path,
                                                             mode_t mode) {
  absl::StatusOr<UniqueFd> lock = Lock(path);
  if (!lock.ok()) return lock.status();
  std::unique_ptr<SocketFile> file(new SocketFile(path, std::move(*lock)));
  absl::Status status = file->MakeWay();
  if (!status.ok()) return status;

  // unix(7): the file gets the permissions of the socket, less the umask.
  if (fchmod(socket_fd, mode) != 0) return ErrnoStatus(errno, "fchmod of a socket");
  const UnixSocketAddress address = MakeUnixAddress(UnixNamespace::kPath, path);
  if (bind(socket_fd, address.get(), address.size) != 0) {
    return errno == EADDRINUSE ? InUse(path) : FileStatus(errno, path);
  }
  struct stat bound;
  if (lstat(path.c_str(), &bound) != 0) return FileStatus(errno, path);
  file->bound_ = true;
  file->device_ = bound.st_dev;
  file->inode_ = bound.st_ino;
  if ((bound.st_mode & 07777) != mode) status = file->SetMode(mode);
  if (!status.ok()) return status;
  return file;
}

// Removes a dead socket from the path, and nothing else.
absl::Status SocketFile::MakeWay() {
  struct stat present;
  if (lstat(path_.c_str(), &present) != 0) {
    return errno == ENOENT ? absl::OkStatus() : FileStatus(errno, path_);
  }
  if (!S_ISSOCK(present.st_mode)) {
    return absl::AlreadyExistsError(absl::StrCat(path_, " is no socket and is left alone"));
  }
  UniqueFd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe.valid()) return ErrnoStatus(errno, "socket");
  const UnixSocketAddress address = MakeUnixAddress(UnixNamespace::kPath, path_);
  if (connect(probe.get(), address.get(), address.size) == 0) return InUse(path_);
  switch (errno) {
    case ECONNREFUSED:  // nobody has it open
      return unlink(path_.c_str()) == 0 || errno == ENOENT ? absl::OkStatus()
                                                           : FileStatus(errno, path_);
    case ENOENT:
      return absl::OkStatus();
    case EAGAIN:  // somebody is too busy to answer
      return InUse(path_);
    case EPROTOTYPE:
      return absl::AlreadyExistsError(
          absl::StrCat(path_, " is a socket of another kind and is left alone"));
    default:
      return FileStatus(errno, path_);
  }
}

// Only widens what bind made: the umask took permissions away.
absl::Status SocketFile::SetMode(mode_t mode) {
  // By descriptor, so that nothing put in its place meanwhile is touched.
  UniqueFd fd(open(path_.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat opened;
  if (!fd.valid() || fstat(fd.get(), &opened) != 0) return FileStatus(errno, path_);
  if (opened.st_dev != device_ || opened.st_ino != inode_) {
    return absl::AlreadyExistsError(absl::StrCat(path_, " has been replaced while it was made"));
  }
  if (chmod(absl::StrCat("/proc/self/fd/", fd.get()).c_str(), mode) != 0) {
    return ErrnoStatus(errno, absl::StrCat("chmod of ", path_));
  }
  return absl::OkStatus();
}

SocketFile::~SocketFile() {
  struct stat present;
  if (bound_ && lstat(path_.c_str(), &present) == 0 && present.st_dev == device_ &&
      present.st_ino == inode_) {
    unlink(path_.c_str());
  }
  unlink(LockPath(path_).c_str());
}

}  // namespace anywire
