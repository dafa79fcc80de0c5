#include "transports/unix/unix_address.h"

#include <cstddef>
#include <cstring>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace anywire {
namespace {

// One byte is the path's NUL, or the abstract name's.
constexpr size_t kMaxLength = sizeof(sockaddr_un::sun_path) - 1;

}  // namespace

absl::Status CheckUnixAddress(UnixNamespace name_space, absl::string_view address) {
  const bool is_path = name_space == UnixNamespace::kPath;
  const absl::string_view kind = is_path ? "path" : "name";
  if (address.empty()) {
    return absl::InvalidArgumentError(is_path
                                          ? "the path is missing; allowed: unix:///absolute/path"
                                          : "the name is missing; allowed: unix-abstract:name");
  }
  if (address.find('\0') != absl::string_view::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("a NUL byte in the ", kind, "; allowed: all other bytes"));
  }
  if (is_path && address.front() != '/') {
    return absl::InvalidArgumentError(
        absl::StrCat("the path \"", absl::CHexEscape(address),
                     "\" is relative; allowed: unix:///absolute/path"));
  }
  if (is_path && address.back() == '/') {
    return absl::InvalidArgumentError("the path names a folder; allowed: the path of a socket");
  }
  if (address.size() > kMaxLength) {
    return absl::InvalidArgumentError(absl::StrCat("the ", kind, " has ", address.size(),
                                                   " bytes; allowed: at most ", kMaxLength));
  }
  return absl::OkStatus();
}

UnixSocketAddress MakeUnixAddress(UnixNamespace name_space, absl::string_view address) {
  UnixSocketAddress result = {};
  result.address.sun_family = AF_UNIX;
  char* const name = result.address.sun_path + (name_space == UnixNamespace::kAbstract ? 1 : 0);
  std::memcpy(name, address.data(), address.size());
  // The path's NUL after it or the abstract name's before it.
  result.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + address.size());
  return result;
}

}  // namespace anywire
