#include "tests/support/network_namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "absl/strings/str_cat.h"
#include "transports/stream/unique_fd.h"

namespace anywire::test {
namespace {

absl::Status Failed(absl::string_view what) {
  return absl::FailedPreconditionError(absl::StrCat(what, ": ", strerrordesc_np(errno)));
}

bool Write(const char* path, const std::string& text) {
  const UniqueFd file(open(path, O_WRONLY | O_CLOEXEC));
  return write(file.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

// In the new user namespace everybody is nobody until it is said who is who.
bool StaySameUser(uid_t user, gid_t group) {
  return Write("/proc/self/uid_map", absl::StrCat(user, " ", user, " 1")) &&
         Write("/proc/self/setgroups", "deny") &&
         Write("/proc/self/gid_map", absl::StrCat(group, " ", group, " 1"));
}

bool BringLoopbackUp() {
  const UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request = {};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP;
  return ioctl(fd.get(), SIOCSIFFLAGS, &request) == 0;
}

bool Join(const std::string& path, int kind) {
  const UniqueFd ns(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return ns.valid() && setns(ns.get(), kind) == 0;
}

}  // namespace

absl::Status EnterNewNetworkNamespace() {
  if (unshare(CLONE_NEWNET) != 0) {
    const uid_t user = geteuid();
    const gid_t group = getegid();
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
      return Failed("there are no network namespaces for this process");
    }
    if (!StaySameUser(user, group)) return Failed("cannot stay the same user in a user namespace");
  }
  if (!BringLoopbackUp()) return Failed("cannot bring the namespace's loopback up");
  return absl::OkStatus();
}

absl::Status EnterNetworkNamespaceOf(pid_t pid) {
  const std::string folder = absl::StrCat("/proc/", pid, "/ns/");
  // EINVAL: it is ours already.
  if (!Join(folder + "user", CLONE_NEWUSER) && errno != EINVAL) {
    return Failed("cannot enter the user namespace");
  }
  if (!Join(folder + "net", CLONE_NEWNET)) return Failed("cannot enter the network namespace");
  return absl::OkStatus();
}

}  // namespace anywire::test
