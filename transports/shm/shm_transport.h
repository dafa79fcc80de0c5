// shm:///path, shared memory between processes of one host that meet at a Unix socket.
#ifndef ANYWIRE_TRANSPORTS_SHM_SHM_TRANSPORT_H_
#define ANYWIRE_TRANSPORTS_SHM_SHM_TRANSPORT_H_

#include <memory>
#include <string>

#include "anywire/transport.h"
#include "transports/shm/shm_options.h"

namespace anywire {

// The socket's path, file and peers are as with unix: (transports/unix).
class ShmTransport final : public Transport {
 public:
  explicit ShmTransport(ShmOptions options = {}) : options_(options) {}

  absl::string_view scheme() const override { return "shm"; }
  absl::Status CheckAddress(absl::string_view address) const override;
  kj::Promise<absl::StatusOr<std::unique_ptr<Connection>>> Connect(
      EventLoop& loop, absl::string_view address, const ConnectOptions& options) override;
  absl::StatusOr<std::unique_ptr<Listener>> Listen(EventLoop& loop, absl::string_view address,
                                                   const ListenOptions& options) override;
  std::string FreshAddress(absl::string_view scratch_dir) override;

 private:
  using Connected = absl::StatusOr<std::unique_ptr<Connection>>;
  class Joining;

  const ShmOptions options_;
};

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_SHM_SHM_TRANSPORT_H_
