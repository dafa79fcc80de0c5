// A folder tree, written safely: nothing outside it is touched, whatever paths and links the other
// side names, and a file appears whole under its name or not at all.
#ifndef ANYWIRE_EXAMPLES_FILECOPY_TREE_WRITER_H_
#define ANYWIRE_EXAMPLES_FILECOPY_TREE_WRITER_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "examples/filecopy/beneath.h"

namespace anywire::examples {

// Thread-safe: all functions may be called by any thread. Every error names the path that it
// concerns.
class TreeWriter {
 public:
  // Makes the folder if it is missing (its parent must exist). The root itself may be a symbolic
  // link.
  static absl::StatusOr<TreeWriter> Open(const std::string& root);

  // A folder that is there already is kept. Its mode lets the owner write until SetMode.
  absl::Status MakeFolder(absl::string_view path) const;
  // Sets a folder's permission bits; after what is in it has been written.
  absl::Status SetMode(absl::string_view path, uint32_t mode) const;
  // Replaces a link or a file of that name. `target` is taken as it stands, and never followed.
  absl::Status MakeLink(absl::string_view path, const std::string& target) const;

  // A file being written under a temporary name beside its place. Not yet in place, it is removed
  // by the destructor.
  class File {
   public:
    File(File&& other) noexcept = default;
    File& operator=(File&&) = delete;
    ~File();
    absl::Status Write(absl::string_view bytes);
    // Gives it its permission bits (whatever the umask) and its name, in place of a file of that
    // name.
    absl::Status Commit(uint32_t mode);

   private:
    friend class TreeWriter;
    File(UniqueFd folder, UniqueFd fd) : folder_(std::move(folder)), fd_(std::move(fd)) {}
    UniqueFd folder_;
    UniqueFd fd_;
    std::string path_;
    std::string name_;
    std::string temporary_name_;  // empty: there is none to remove
  };
  absl::StatusOr<File> CreateFile(absl::string_view path) const;

 private:
  explicit TreeWriter(UniqueFd root) : root_(std::move(root)) {}
  UniqueFd root_;
};

}  // namespace anywire::examples

#endif  // ANYWIRE_EXAMPLES_FILECOPY_TREE_WRITER_H_
