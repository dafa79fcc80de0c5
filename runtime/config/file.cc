#include "runtime/config/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "runtime/config/diagnostics.h"

namespace anywire::config {
namespace {

constexpr absl::string_view kAllowed =
    "a readable file; one named *.json is read as JSON, any other as text format";

std::string KindOf(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

}  // namespace

absl::StatusOr<std::string> ReadWholeFile(const std::string& path, size_t max_size,
                                          absl::string_view named_by) {
  const std::string origin = named_by.empty() ? "" : absl::StrCat(" (named by ", named_by, ")");
  const auto fail = [&path, &origin](absl::StatusCode code, absl::string_view what) {
    return absl::Status(code, absl::StrCat(path.empty() ? "\"\"" : Printable(path, path.size()),
                                           ": ", what, origin, "; allowed: ", kAllowed));
  };
  const auto fail_as_system = [&fail](int error, absl::string_view what) {
    const absl::Status status = absl::ErrnoToStatus(error, what);
    return fail(status.code(), status.message());
  };

  // A pipe without a writer would block without O_NONBLOCK.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) {
    const int error = errno;
    if (error == ENOENT || error == ENOTDIR) {
      std::error_code ignored;
      const bool relative = !std::filesystem::path(path).is_absolute();
      return fail(
          absl::StatusCode::kNotFound,
          relative ? absl::StrCat("there is no such file in ",
                                  Printable(std::filesystem::current_path(ignored).native(), 4096))
                   : "there is no such file");
    }
    if (error == EACCES)
      return fail(absl::StatusCode::kPermissionDenied, "permission to read it is denied");
    if (error == ENXIO)
      return fail(absl::StatusCode::kInvalidArgument, "it is a socket, not a file");
    return fail_as_system(error, "cannot open it");
  }
  const auto close_at_end = absl::MakeCleanup([fd] { close(fd); });

  struct stat about;
  if (fstat(fd, &about) != 0) return fail_as_system(errno, "cannot examine it");
  const bool null_device = S_ISCHR(about.st_mode) && path == "/dev/null";
  if (!S_ISREG(about.st_mode) && !null_device) {
    return fail(absl::StatusCode::kInvalidArgument,
                absl::StrCat("it is ", KindOf(about.st_mode), ", not a file"));
  }

  std::string bytes;
  while (true) {
    // One byte past the limit shows that the file exceeds it. The size that fstat gave may change,
    // or be 0 in /proc.
    constexpr size_t kStep = 64 << 10;
    const size_t have = bytes.size();
    bytes.resize(std::min(have + kStep, max_size + 1));
    const ssize_t got = read(fd, bytes.data() + have, bytes.size() - have);
    const int error = errno;
    bytes.resize(have + (got > 0 ? got : 0));
    if (got < 0 && error == EINTR) continue;
    if (got < 0) return fail_as_system(error, "cannot read it");
    if (got == 0) return bytes;
    if (bytes.size() > max_size) {
      return fail(absl::StatusCode::kInvalidArgument,
                  absl::StrCat("it is larger than ", max_size, " bytes"));
    }
  }
}

}  // namespace anywire::config
