#include "examples/filecopy/tree_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include <atomic>

#include "absl/strings/str_cat.h"

namespace anywire::examples {
namespace {

constexpr mode_t kPermissionBits = 0777;

// A name that no other file of ours has. Hidden, and says what left it behind if something did.
std::string TemporaryName() {
  static std::atomic<uint64_t> next{0};
  return absl::StrCat(".filecopy-", getpid(), "-", next.fetch_add(1, std::memory_order_relaxed));
}

}  // namespace

absl::StatusOr<TreeWriter> TreeWriter::Open(const std::string& root) {
  if (mkdir(root.c_str(), kPermissionBits) != 0 && errno != EEXIST) {
    return FileError(errno, root, "cannot make this folder");
  }
  const int fd = open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return FileError(errno, root, "cannot write into this folder");
  return TreeWriter(UniqueFd(fd));
}

absl::Status TreeWriter::MakeFolder(absl::string_view path) const {
  absl::StatusOr<Place> place = OpenPlace(root_.get(), path);
  if (!place.ok()) return place.status();
  if (mkdirat(place->folder.get(), place->name.c_str(), 0700) == 0) return absl::OkStatus();
  if (errno != EEXIST) return FileError(errno, path, "cannot make this folder");
  // What is there must be a folder, and be writable for as long as we write.
  absl::StatusOr<UniqueFd> existing = OpenBeneath(root_.get(), path, O_RDONLY | O_DIRECTORY);
  if (!existing.ok()) return existing.status();
  struct stat info;
  if (fstat(existing->get(), &info) != 0 ||
      fchmod(existing->get(), (info.st_mode & kPermissionBits) | 0700) != 0) {
    return FileError(errno, path, "cannot write into this folder");
  }
  return absl::OkStatus();
}

absl::Status TreeWriter::SetMode(absl::string_view path, uint32_t mode) const {
  absl::StatusOr<UniqueFd> folder = OpenBeneath(root_.get(), path, O_RDONLY | O_DIRECTORY);
  if (!folder.ok()) return folder.status();
  if (fchmod(folder->get(), mode & kPermissionBits) != 0) {
    return FileError(errno, path, "cannot set its mode");
  }
  return absl::OkStatus();
}

absl::Status TreeWriter::MakeLink(absl::string_view path, const std::string& target) const {
  absl::StatusOr<Place> place = OpenPlace(root_.get(), path);
  if (!place.ok()) return place.status();
  const int folder = place->folder.get();
  const std::string temporary = TemporaryName();
  if (symlinkat(target.c_str(), folder, temporary.c_str()) != 0) {
    return FileError(errno, path, "cannot make this link");
  }
  if (renameat(folder, temporary.c_str(), folder, place->name.c_str()) != 0) {
    const int error = errno;
    unlinkat(folder, temporary.c_str(), 0);
    return FileError(error, path, "cannot make this link");
  }
  return absl::OkStatus();
}

absl::StatusOr<TreeWriter::File> TreeWriter::CreateFile(absl::string_view path) const {
  absl::StatusOr<Place> place = OpenPlace(root_.get(), path);
  if (!place.ok()) return place.status();
  // A name may be taken by what a killed process of our id left behind.
  for (int attempt = 0; attempt < 100; ++attempt) {
    std::string temporary = TemporaryName();
    UniqueFd fd(openat(place->folder.get(), temporary.c_str(),
                       O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (fd.get() < 0 && errno == EEXIST) continue;
    if (fd.get() < 0) return FileError(errno, path, "cannot create this file");
    File file(std::move(place->folder), std::move(fd));
    file.path_ = std::string(path);
    file.name_ = std::move(place->name);
    file.temporary_name_ = std::move(temporary);
    return file;
  }
  return absl::AlreadyExistsError(
      absl::StrCat(Readable(path), ": temporary names beside it are taken"));
}

TreeWriter::File::~File() {
  if (folder_.get() >= 0 && !temporary_name_.empty()) {
    unlinkat(folder_.get(), temporary_name_.c_str(), 0);
  }
}

absl::Status TreeWriter::File::Write(absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd_.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return FileError(errno, path_, "cannot write");
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return absl::OkStatus();
}

absl::Status TreeWriter::File::Commit(uint32_t mode) {
  if (fchmod(fd_.get(), mode & kPermissionBits) != 0) {
    return FileError(errno, path_, "cannot set its mode");
  }
  // Some file systems tell of a full disk only here.
  if (close(fd_.release()) != 0) return FileError(errno, path_, "cannot write");
  if (renameat(folder_.get(), temporary_name_.c_str(), folder_.get(), name_.c_str()) != 0) {
    return FileError(errno, path_, "cannot put it in its place");
  }
  temporary_name_.clear();
  return absl::OkStatus();
}

}  // namespace anywire::examples
