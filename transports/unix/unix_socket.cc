#include "transports/unix/unix_socket.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "transports/stream/errno_status.h"
#include "transports/unix/socket_file.h"

namespace anywire {
namespace {

using Connected = absl::StatusOr<UniqueFd>;

constexpr int64_t kLongestPauseMs = 50;
// So that a sender of much is not woken for every 100 KB; the kernel takes no more memory than is
// used. It counts its own overhead too, and may allow less.
constexpr int kSendBuffer = 256 << 10;

void SetUp(int fd) {
  (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kSendBuffer, sizeof(kSendBuffer));
}

std::optional<PeerIdentity::Credentials> PeerCredentials(int fd) {
  ucred peer;
  socklen_t size = sizeof(peer);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return std::nullopt;
  return PeerIdentity::Credentials{peer.uid, peer.gid, peer.pid};
}

kj::Promise<Connected> Attempt(EventLoop& loop, const UnixSocketAddress& to, std::string uri,
                               int64_t pause_ms) {
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return Connected(ErrnoStatus(errno, "socket"));
  SetUp(fd.get());
  if (connect(fd.get(), to.get(), to.size) == 0) return Connected(std::move(fd));
  switch (errno) {
    case EAGAIN:
      // The server's queue is full, and nothing tells when it is not.
      return loop.timer()
          .afterDelay(pause_ms * kj::MILLISECONDS)
          .then([&loop, to, uri = std::move(uri), pause_ms]() mutable {
            return Attempt(loop, to, std::move(uri), std::min(2 * pause_ms, kLongestPauseMs));
          });
    case ENOENT:
    case ECONNREFUSED:
      return Connected(absl::UnavailableError(absl::StrCat("nobody listens at ", uri)));
    case EPROTOTYPE:
      return Connected(absl::UnavailableError(absl::StrCat(uri, " is a socket of another kind")));
    default:
      return Connected(ErrnoStatus(errno, absl::StrCat("connecting to ", uri)));
  }
}

}  // namespace

kj::Promise<Connected> ConnectUnixSocket(EventLoop& loop, UnixNamespace name_space,
                                         std::string address, std::string uri) {
  return Attempt(loop, MakeUnixAddress(name_space, address), std::move(uri), 1);
}

absl::StatusOr<std::unique_ptr<Listener>> ListenAtUnixSocket(
    EventLoop& loop, UnixNamespace name_space, absl::string_view address, std::string uri,
    mode_t mode, int backlog, StreamListener::Config config) {
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return ErrnoStatus(errno, "socket");

  std::unique_ptr<SocketFile> file;
  if (name_space == UnixNamespace::kPath) {
    absl::StatusOr<std::unique_ptr<SocketFile>> bound =
        SocketFile::Bind(fd.get(), std::string(address), mode);
    if (!bound.ok()) return bound.status();
    file = std::move(*bound);
  } else {
    const UnixSocketAddress at = MakeUnixAddress(name_space, address);
    if (bind(fd.get(), at.get(), at.size) != 0) {
      if (errno == EADDRINUSE) {
        return absl::AlreadyExistsError(absl::StrCat("another server listens at ", uri));
      }
      return ErrnoStatus(errno, uri);
    }
  }
  if (listen(fd.get(), backlog) != 0) return ErrnoStatus(errno, "listen");

  config.adopt = [uri](int accepted) -> absl::StatusOr<ConnectionInfo> {
    SetUp(accepted);
    return DescribeUnixSocket(accepted, uri, "");
  };
  config.release = [file = std::move(file)](int listening) mutable {
    shutdown(listening, SHUT_RD);  // who has not connected by now does not
    file.reset();
  };
  config.address = std::move(uri);
  return StreamListener::Create(loop, std::move(fd), std::move(config));
}

ConnectionInfo DescribeUnixSocket(int fd, std::string local_uri, std::string remote_uri) {
  ConnectionInfo info;
  info.local_address = std::move(local_uri);
  info.remote_address = std::move(remote_uri);
  info.peer.credentials = PeerCredentials(fd);
  info.host_private = true;
  return info;
}

std::string FreshUnixAddress(UnixNamespace name_space, absl::string_view scratch_dir) {
  std::random_device random;
  const std::string name = absl::StrCat("aw-", absl::Hex(random(), absl::kZeroPad8),
                                        absl::Hex(random(), absl::kZeroPad8));
  if (name_space == UnixNamespace::kAbstract) return name;
  return absl::StrCat(scratch_dir, "/", name, ".sock");
}

}  // namespace anywire
