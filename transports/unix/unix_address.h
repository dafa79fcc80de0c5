// Names of Unix sockets: "unix:///run/x.sock" is a file, "unix-abstract:x" a name that no file has.
#ifndef ANYWIRE_TRANSPORTS_UNIX_UNIX_ADDRESS_H_
#define ANYWIRE_TRANSPORTS_UNIX_UNIX_ADDRESS_H_

#include <sys/socket.h>
#include <sys/un.h>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace anywire {

enum class UnixNamespace {
  kPath,
  kAbstract,  // unix(7): goes with its last socket, has no permissions, is the network namespace's
};

// At most 107 bytes, none of them NUL. A path is absolute: what a relative one means would depend
// on the folder a program was started in, and "unix://run/x.sock" is a slip of the pen. Bytes are
// taken as they are; nothing is percent-decoded.
absl::Status CheckUnixAddress(UnixNamespace name_space, absl::string_view address);

struct UnixSocketAddress {
  sockaddr_un address;
  socklen_t size;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address); }
};
// `address` has been checked.
UnixSocketAddress MakeUnixAddress(UnixNamespace name_space, absl::string_view address);

}  // namespace anywire

#endif  // ANYWIRE_TRANSPORTS_UNIX_UNIX_ADDRESS_H_
