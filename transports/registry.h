// Which schemes exist: an ordinary object that maps a URI scheme to its Transport.
#ifndef ANYWIRE_TRANSPORTS_REGISTRY_H_
#define ANYWIRE_TRANSPORTS_REGISTRY_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "anywire/transport.h"

namespace anywire {

class TransportRegistry {
 public:
  TransportRegistry() = default;
  TransportRegistry(TransportRegistry&&) = default;
  TransportRegistry& operator=(TransportRegistry&&) = default;

  // ALREADY_EXISTS for a scheme that is taken, INVALID_ARGUMENT for a scheme that is no URI scheme
  // (RFC 3986, 3.1).
  absl::Status Register(std::unique_ptr<Transport> transport);

  // Splits "scheme:address" or "scheme://address", which mean the same, finds the transport and
  // checks the address. The scheme's letters may be of either case. INVALID_ARGUMENT says what is
  // wrong and, for a scheme, lists the known ones.
  struct Target {
    Transport* transport = nullptr;  // the registry's
    std::string address;             // the part after "scheme:" and, where there is one, "//"
  };
  absl::StatusOr<Target> Resolve(absl::string_view uri) const;

  // In order of registration.
  std::vector<Transport*> transports() const;

 private:
  std::vector<std::unique_ptr<Transport>> transports_;
};

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_REGISTRY_H_
