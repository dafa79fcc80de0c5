#include "transports/unix/unix_transport.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "transports/stream/stream_connection.h"
#include "transports/unix/unix_socket.h"

namespace anywire {

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
                                                             absl::string_view address,
                                                             const ConnectOptions&) {
  absl::Status status = CheckAddress(address);
  if (!status.ok()) return Connected(std::move(status));
  std::string uri = Uri(address);
  return ConnectUnixSocket(loop, namespace_, std::string(address), uri)
      .then([this, &loop, uri = std::move(uri)](absl::StatusOr<UniqueFd> fd) mutable -> Connected {
        if (!fd.ok()) return fd.status();
        ConnectionInfo info = DescribeUnixSocket(fd->get(), "", std::move(uri));
        return BeginStream(loop, std::move(*fd), std::move(info), options_.stream);
      });
}

absl::StatusOr<std::unique_ptr<Listener>> UnixTransport::Listen(EventLoop& loop,
                                                                absl::string_view address,
                                                                const ListenOptions& options) {
  absl::Status status = CheckAddress(address);
  if (!status.ok()) return status;
  StreamListener::Config config;
  config.options = options_.stream;
  config.listen = options;
  return ListenAtUnixSocket(loop, namespace_, address, Uri(address),
                            options.socket_mode.value_or(options_.mode), options_.backlog,
                            std::move(config));
}

std::string UnixTransport::FreshAddress(absl::string_view scratch_dir) {
  return FreshUnixAddress(namespace_, scratch_dir);
}

}  // namespace anywire
