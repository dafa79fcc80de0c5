// inproc:, between parts of one process. The reference implementation of a transport.
#ifndef ANYWIRE_TRANSPORTS_INPROC_INPROC_TRANSPORT_H_
#define ANYWIRE_TRANSPORTS_INPROC_INPROC_TRANSPORT_H_

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "anywire/transport.h"

namespace anywire {

// Names belong to the transport object: what listens at one is found by connecting through the
// same.
class InprocTransport final : public Transport {
 public:
  static constexpr size_t kMaxNameLength = 255;
  static constexpr size_t kBacklog = 1024;  // connections that wait for Accept

  InprocTransport() = default;

  absl::string_view scheme() const override { return "inproc"; }
  absl::Status CheckAddress(absl::string_view address) const override;
  kj::Promise<absl::StatusOr<std::unique_ptr<Connection>>> Connect(
      EventLoop& loop, absl::string_view address, const ConnectOptions& options) override;
  absl::StatusOr<std::unique_ptr<Listener>> Listen(EventLoop& loop, absl::string_view address,
                                                   const ListenOptions& options) override;
  std::string FreshAddress(absl::string_view scratch_dir) override;

 private:
  class Backlog;
  class InprocListener;

  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Backlog>, std::less<>> listening_;  // guarded by mutex_
};

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_INPROC_INPROC_TRANSPORT_H_
