#include "examples/filecopy/tree_reader.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace anywire::examples {
namespace {

constexpr mode_t kPermissionBits = 0777;

int64_t ModifiedNs(const struct stat& info) {
  return int64_t{info.st_mtim.tv_sec} * 1'000'000'000 + info.st_mtim.tv_nsec;
}

// The names in a folder, in byte order, without "." and "..".
absl::StatusOr<std::vector<std::string>> Names(UniqueFd folder, absl::string_view path) {
  struct Close {
    void operator()(DIR* dir) const { closedir(dir); }
  };
  const std::unique_ptr<DIR, Close> dir(fdopendir(folder.get()));
  if (dir == nullptr) return FileError(errno, path, "cannot list");
  folder.release();
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = readdir(dir.get())) {
    const absl::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
    errno = 0;
  }
  if (errno != 0) return FileError(errno, path, "cannot list");
  std::sort(names.begin(), names.end());
  return names;
}

absl::StatusOr<std::string> LinkTarget(int folder, const std::string& name,
                                       absl::string_view path) {
  std::string target(4096, '\0');  // PATH_MAX: Linux has no longer ones
  const ssize_t size = readlinkat(folder, name.c_str(), target.data(), target.size());
  if (size < 0) return FileError(errno, path, "cannot read the link");
  target.resize(size);
  return target;
}

}  // namespace

absl::StatusOr<TreeReader> TreeReader::Open(const std::string& root) {
  const int fd = open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return FileError(errno, root, "cannot serve this folder");
  return TreeReader(UniqueFd(fd));
}

void TreeReader::Walk(Visitor& visitor) const {
  // Folders still to be listed; the next one is last. No descriptor stays open from one to the
  // next, so depth costs none.
  std::vector<std::string> folders = {""};
  while (!folders.empty()) {
    const std::string path = std::move(folders.back());
    folders.pop_back();
    absl::StatusOr<UniqueFd> folder = OpenBeneath(root_.get(), path, O_RDONLY | O_DIRECTORY);
    absl::StatusOr<std::vector<std::string>> names = std::vector<std::string>();
    if (folder.ok()) {
      names = Names(UniqueFd(fcntl(folder->get(), F_DUPFD_CLOEXEC, 0)), path);
    } else {
      names = folder.status();
    }
    if (!names.ok()) {
      if (!visitor.Skipped(path, std::string(names.status().message()))) return;
      continue;
    }
    const size_t first_child = folders.size();
    for (const std::string& name : *names) {
      std::string child = path.empty() ? name : absl::StrCat(path, "/", name);
      if (child.size() > kMaxPathSize) {
        if (!visitor.Skipped(std::move(child), "its path is too long")) return;
        continue;
      }
      bool is_folder = false;
      if (!Visit(folder->get(), name, child, visitor, &is_folder)) return;
      if (is_folder) folders.push_back(std::move(child));
    }
    std::reverse(folders.begin() + static_cast<ptrdiff_t>(first_child), folders.end());
  }
}

bool TreeReader::Visit(int folder, const std::string& name, std::string path, Visitor& visitor,
                       bool* is_folder) const {
  struct stat info;
  if (fstatat(folder, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return true;  // vanished since it was listed: not there
    return visitor.Skipped(path, std::string(FileError(errno, path, "cannot stat").message()));
  }
  Entry entry{.path = std::move(path),
              .kind = Kind::kFile,
              .mode = info.st_mode & kPermissionBits,
              .size = 0,
              .link_target = ""};
  if (S_ISREG(info.st_mode)) {
    entry.size = static_cast<uint64_t>(info.st_size);
  } else if (S_ISDIR(info.st_mode)) {
    entry.kind = Kind::kFolder;
    *is_folder = true;
  } else if (S_ISLNK(info.st_mode)) {
    entry.kind = Kind::kLink;
    absl::StatusOr<std::string> target = LinkTarget(folder, name, entry.path);
    if (!target.ok()) return visitor.Skipped(entry.path, std::string(target.status().message()));
    entry.link_target = *std::move(target);
  } else {
    return visitor.Skipped(std::move(entry.path), "neither file, folder nor link");
  }
  return visitor.Found(std::move(entry));
}

absl::StatusOr<TreeReader::File> TreeReader::OpenFile(absl::string_view path) const {
  absl::StatusOr<Place> place = OpenPlace(root_.get(), path);
  if (!place.ok()) return place.status();
  // Looked at before it is opened: opening a device can have effects.
  struct stat info;
  if (fstatat(place->folder.get(), place->name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
    return FileError(errno, path, "cannot stat");
  }
  const absl::Status not_regular =
      absl::FailedPreconditionError(absl::StrCat(Readable(path), " is not a regular file"));
  if (S_ISLNK(info.st_mode)) {
    return absl::PermissionDeniedError(
        absl::StrCat(Readable(path), " is a symbolic link; none is followed"));
  }
  if (!S_ISREG(info.st_mode)) return not_regular;
  // Whoever put a pipe in its place by now must not make us wait.
  UniqueFd fd(openat(place->folder.get(), place->name.c_str(),
                     O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  if (fd.get() < 0) return FileError(errno, path, "cannot open");
  if (fstat(fd.get(), &info) != 0) return FileError(errno, path, "cannot stat");
  if (!S_ISREG(info.st_mode)) return not_regular;
  File file;
  file.fd_ = std::move(fd);
  file.path_ = std::string(path);
  file.size_ = static_cast<uint64_t>(info.st_size);
  file.mode_ = info.st_mode & kPermissionBits;
  file.modified_ns_ = ModifiedNs(info);
  return file;
}

absl::StatusOr<size_t> TreeReader::File::Read(absl::Span<char> buffer) {
  size_t filled = 0;
  while (filled < buffer.size()) {
    const ssize_t got = read(fd_.get(), buffer.data() + filled, buffer.size() - filled);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FileError(errno, path_, "cannot read");
    if (got == 0) break;
    filled += static_cast<size_t>(got);
  }
  read_ += filled;
  // At the end, and as soon as there is more than there was: a file that grows for ever has no end.
  if (filled < buffer.size() || read_ > size_) {
    if (absl::Status status = CheckUnchanged(); !status.ok()) return status;
  }
  return filled;
}

absl::Status TreeReader::File::CheckUnchanged() const {
  struct stat info;
  if (fstat(fd_.get(), &info) != 0) return FileError(errno, path_, "cannot stat");
  if (read_ == size_ && static_cast<uint64_t>(info.st_size) == size_ &&
      ModifiedNs(info) == modified_ns_) {
    return absl::OkStatus();
  }
  return absl::AbortedError(absl::StrCat(Readable(path_), " changed while it was read"));
}

}  // namespace anywire::examples
