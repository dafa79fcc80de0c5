#include "examples/filecopy/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace anywire::examples {
namespace {

bool IsLink(int folder, const std::string& name) {
  struct stat info;
  return fstatat(folder, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(info.st_mode);
}

// One step down. `path` is the whole path, for the error.
absl::StatusOr<UniqueFd> OpenAt(int folder, const std::string& name, int flags,
                                absl::string_view path) {
  const int fd = openat(folder, name.c_str(), flags | O_NOFOLLOW | O_CLOEXEC);
  if (fd >= 0) return UniqueFd(fd);
  const int error = errno;
  if ((error == ELOOP || error == ENOTDIR) && IsLink(folder, name)) {
    return absl::PermissionDeniedError(absl::StrCat(Readable(path), ": ", Readable(name),
                                                    " is a symbolic link; none is followed"));
  }
  return FileError(error, path, "cannot open");
}

}  // namespace

std::string Readable(absl::string_view path) { return absl::CEscape(path); }

absl::Status FileError(int error, absl::string_view path, absl::string_view what) {
  return absl::ErrnoToStatus(error, absl::StrCat(Readable(path), ": ", what));
}

absl::Status CheckRelativePath(absl::string_view path) {
  if (path.size() > kMaxPathSize) {
    return absl::InvalidArgumentError(
        absl::StrCat("a path of ", path.size(), " bytes; the limit is ", kMaxPathSize));
  }
  if (path.find('\0') != path.npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", Readable(path), "\": a path has no zero bytes"));
  }
  for (absl::string_view name : absl::StrSplit(path, '/')) {
    if (name.empty() || name == "." || name == "..") {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", Readable(path), "\" is not a relative path of plain names"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<UniqueFd> OpenBeneath(int root, absl::string_view path, int flags) {
  if (path.empty()) return OpenAt(root, ".", flags, path);
  absl::StatusOr<Place> place = OpenPlace(root, path);
  if (!place.ok()) return place.status();
  return OpenAt(place->folder.get(), place->name, flags, path);
}

absl::StatusOr<Place> OpenPlace(int root, absl::string_view path) {
  if (absl::Status status = CheckRelativePath(path); !status.ok()) return status;
  absl::StatusOr<UniqueFd> folder = OpenAt(root, ".", O_PATH | O_DIRECTORY, path);
  for (size_t slash; folder.ok() && (slash = path.find('/')) != path.npos;
       path.remove_prefix(slash + 1)) {
    folder = OpenAt(folder->get(), std::string(path.substr(0, slash)), O_PATH | O_DIRECTORY, path);
  }
  if (!folder.ok()) return folder.status();
  return Place{*std::move(folder), std::string(path)};
}

}  // namespace anywire::examples
