#include "transports/unix/unix_transport.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "transports/stream/errno_status.h"
#include "transports/stream/stream_connection.h"
#include "transports/stream/stream_listener.h"
#include "transports/unix/socket_file.h"

namespace anywire {
namespace {

constexpr int64_t kLongestPauseMs = 50;
// So that a sender of much is not woken for every 100 KB; the kernel takes no more memory than is
// used. It counts its own overhead too, and may allow less.
constexpr int kSendBuffer = 256 << 10;

std::optional<PeerIdentity::Credentials> PeerCredentials(int fd) {
  ucred peer;
  socklen_t size = sizeof(peer);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return std::nullopt;
  return PeerIdentity::Credentials{peer.uid, peer.gid, peer.pid};
}

void SetUp(int fd) {
  (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &kSendBuffer, sizeof(kSendBuffer));
}

ConnectionInfo Describe(int fd, std::string local, std::string remote) {
  ConnectionInfo info;
  info.local_address = std::move(local);
  info.remote_address = std::move(remote);
  info.peer.credentials = PeerCredentials(fd);
  info.host_private = true;
  return info;
}

}  // namespace

absl::string_view UnixTransport::scheme() const {
  return namespace_ == UnixNamespace::kPath ? "unix" : "unix-abstract";
}

absl::Status UnixTransport::CheckAddress(absl::string_view address) const {
  return CheckUnixAddress(namespace_, address);
}

std::string UnixTransport::Uri(absl::string_view address) const {
  return absl::StrCat(scheme(), namespace_ == UnixNamespace::kPath ? "://" : ":", address);
}

kj::Promise<UnixTransport::Connected> UnixTransport::Connect(EventLoop& loop,
                                                             absl::string_view address) {
  absl::Status status = CheckAddress(address);
  if (!status.ok()) return Connected(std::move(status));
  return Attempt(loop, std::string(address), 1);
}

kj::Promise<UnixTransport::Connected> UnixTransport::Attempt(EventLoop& loop, std::string address,
                                                             int64_t pause_ms) {
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return Connected(ErrnoStatus(errno, "socket"));
  SetUp(fd.get());
  const UnixSocketAddress to = MakeUnixAddress(namespace_, address);
  if (connect(fd.get(), to.get(), to.size) == 0) {
    ConnectionInfo info = Describe(fd.get(), "", Uri(address));
    return BeginStream(loop, std::move(fd), std::move(info), options_.stream);
  }
  switch (errno) {
    case EAGAIN:
      // The server's queue is full, and nothing tells when it is not.
      return loop.timer()
          .afterDelay(pause_ms * kj::MILLISECONDS)
          .then([this, &loop, address = std::move(address), pause_ms]() mutable {
            return Attempt(loop, std::move(address), std::min(2 * pause_ms, kLongestPauseMs));
          });
    case ENOENT:
    case ECONNREFUSED:
      return Connected(absl::UnavailableError(absl::StrCat("nobody listens at ", Uri(address))));
    case EPROTOTYPE:
      return Connected(
          absl::UnavailableError(absl::StrCat(Uri(address), " is a socket of another kind")));
    default:
      return Connected(ErrnoStatus(errno, absl::StrCat("connecting to ", Uri(address))));
  }
}

absl::StatusOr<std::unique_ptr<Listener>> UnixTransport::Listen(EventLoop& loop,
                                                                absl::string_view address,
                                                                const ListenOptions& options) {
  absl::Status status = CheckAddress(address);
  if (!status.ok()) return status;
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return ErrnoStatus(errno, "socket");

  std::unique_ptr<SocketFile> file;
  if (namespace_ == UnixNamespace::kPath) {
    absl::StatusOr<std::unique_ptr<SocketFile>> bound = SocketFile::Bind(
        fd.get(), std::string(address), options.socket_mode.value_or(options_.mode));
    if (!bound.ok()) return bound.status();
    file = std::move(*bound);
  } else {
    const UnixSocketAddress at = MakeUnixAddress(namespace_, address);
    if (bind(fd.get(), at.get(), at.size) != 0) {
      if (errno == EADDRINUSE) {
        return absl::AlreadyExistsError(absl::StrCat("another server listens at ", Uri(address)));
      }
      return ErrnoStatus(errno, Uri(address));
    }
  }
  if (listen(fd.get(), options_.backlog) != 0) return ErrnoStatus(errno, "listen");

  StreamListener::Config config;
  config.address = Uri(address);
  config.options = options_.stream;
  config.listen = options;
  config.adopt = [uri = Uri(address)](int accepted) -> absl::StatusOr<ConnectionInfo> {
    SetUp(accepted);
    return Describe(accepted, uri, "");
  };
  config.release = [file = std::move(file)](int listening) mutable {
    shutdown(listening, SHUT_RD);  // who has not connected by now does not
    file.reset();
  };
  return StreamListener::Create(loop, std::move(fd), std::move(config));
}

std::string UnixTransport::FreshAddress(absl::string_view scratch_dir) {
  std::random_device random;
  const std::string name = absl::StrCat("aw-", absl::Hex(random(), absl::kZeroPad8),
                                        absl::Hex(random(), absl::kZeroPad8));
  if (namespace_ == UnixNamespace::kAbstract) return name;
  return absl::StrCat(scratch_dir, "/", name, ".sock");
}

}  // namespace anywire
