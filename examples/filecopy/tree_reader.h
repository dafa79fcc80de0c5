// A folder tree, read safely: nothing outside it is ever opened, and no symbolic link is followed
// below the root.
#ifndef ANYWIRE_EXAMPLES_FILECOPY_TREE_READER_H_
#define ANYWIRE_EXAMPLES_FILECOPY_TREE_READER_H_

#include <cstdint>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "examples/filecopy/beneath.h"

namespace anywire::examples {

// Thread-safe: all functions may be called by any thread.
class TreeReader {
 public:
  // The root itself may be a symbolic link.
  static absl::StatusOr<TreeReader> Open(const std::string& root);

  enum class Kind { kFile, kFolder, kLink };
  struct Entry {
    std::string path;
    Kind kind;
    uint32_t mode;            // permission bits
    uint64_t size;            // of a file
    std::string link_target;  // of a link
  };
  class Visitor {
   public:
    virtual ~Visitor() = default;
    // Each returns whether to go on.
    virtual bool Found(Entry entry) = 0;
    // Sockets, pipes and devices, and what cannot be read.
    virtual bool Skipped(std::string path, std::string reason) = 0;
  };
  // Visits everything below the root, each folder before what is in it, names in byte order.
  void Walk(Visitor& visitor) const;

  // A regular file, opened to be read to its end.
  class File {
   public:
    // The next bytes; fewer than `buffer` has room for only at the end. ABORTED when the file has
    // changed since it was opened: its size, or its time of modification.
    absl::StatusOr<size_t> Read(absl::Span<char> buffer);
    uint64_t size() const { return size_; }
    uint32_t mode() const { return mode_; }

   private:
    friend class TreeReader;
    File() = default;
    absl::Status CheckUnchanged() const;
    UniqueFd fd_;
    std::string path_;
    uint64_t size_ = 0;
    uint32_t mode_ = 0;
    int64_t modified_ns_ = 0;
    uint64_t read_ = 0;
  };
  // NOT_FOUND, PERMISSION_DENIED, INVALID_ARGUMENT for a path that Walk cannot give,
  // FAILED_PRECONDITION for what is not a regular file.
  absl::StatusOr<File> OpenFile(absl::string_view path) const;

 private:
  explicit TreeReader(UniqueFd root) : root_(std::move(root)) {}
  bool Visit(int folder, const std::string& name, std::string path, Visitor& visitor,
             bool* is_folder) const;
  UniqueFd root_;
};

}  // namespace anywire::examples

#endif  // ANYWIRE_EXAMPLES_FILECOPY_TREE_READER_H_
