// unix: and unix-abstract:, stream sockets within one host. The peer's user, group and process are
// known from the kernel.
#ifndef ANYWIRE_TRANSPORTS_UNIX_UNIX_TRANSPORT_H_
#define ANYWIRE_TRANSPORTS_UNIX_UNIX_TRANSPORT_H_

#include <sys/stat.h>

#include <memory>
#include <string>

#include "anywire/transport.h"
#include "transports/stream/stream_options.h"
#include "transports/unix/unix_address.h"

namespace anywire {

struct UnixOptions {
  // Permissions of a socket file; connecting needs the permission to write. Abstract names have
  // none: whoever is on the host may connect, and the credentials tell who it is.
  mode_t mode = 0600;
  int backlog = 1024;  // connections that wait for Accept
  StreamOptions stream;
};

class UnixTransport final : public Transport {
 public:
  explicit UnixTransport(UnixNamespace name_space, UnixOptions options = {})
      : namespace_(name_space), options_(options) {}

  absl::string_view scheme() const override;
  absl::Status CheckAddress(absl::string_view address) const override;
  kj::Promise<absl::StatusOr<std::unique_ptr<Connection>>> Connect(
      EventLoop& loop, absl::string_view address, const ConnectOptions& options) override;
  absl::StatusOr<std::unique_ptr<Listener>> Listen(EventLoop& loop, absl::string_view address,
                                                   const ListenOptions& options) override;
  // A path in `scratch_dir`, which is short enough for it, or an abstract name.
  std::string FreshAddress(absl::string_view scratch_dir) override;

 private:
  using Connected = absl::StatusOr<std::unique_ptr<Connection>>;
  std::string Uri(absl::string_view address) const;

  const UnixNamespace namespace_;
  const UnixOptions options_;
};

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_UNIX_UNIX_TRANSPORT_H_
