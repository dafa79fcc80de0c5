// The client's side: fetches a whole tree, several files at once, and checks every file against the
// server's SHA-256.
#ifndef ANYWIRE_EXAMPLES_FILECOPY_COPIER_H_
#define ANYWIRE_EXAMPLES_FILECOPY_COPIER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "anywire/cancellation.h"
#include "anywire/channel.h"
#include "examples/filecopy/progress.h"

namespace anywire::examples {

struct CopyOptions {
  int calls = 8;                                // files fetched at the same time
  uint32_t chunk_size = 256 * 1024;             // bytes of a file in one message
  absl::Duration timeout = absl::Seconds(300);  // for one file, and for the list
  CancellationToken cancellation = {};          // ends the copy as CANCELLED
};

struct CopyResult {
  uint64_t listed = 0;    // files that the server has
  uint64_t verified = 0;  // of those, fetched with the right SHA-256
  uint64_t files = 0;     // of those, in place
  uint64_t bytes = 0;     // in those
  uint64_t folders = 0;
  uint64_t links = 0;
  uint64_t skipped = 0;                // what the server does not offer
  uint64_t failed = 0;                 // files, folders and links
  std::vector<absl::Status> problems;  // the first kMaxProblems of both, each names its path
  absl::Duration time;

  static constexpr size_t kMaxProblems = 20;
};

// Copies what the FileCopy service behind `channel` serves into the folder `destination`. What
// concerns one file alone is counted in the result, and the rest goes on; a file that changed while
// it was read is tried again. An error is what ended the copy: the connection was lost, the disk is
// full, or the caller cancelled. No part of a file is ever left behind. Blocks; calls on `calls`
// threads of its own.
absl::StatusOr<CopyResult> CopyTree(const Channel& channel, const std::string& destination,
                                    const CopyOptions& options, Progress& progress);

}  // namespace anywire::examples

#endif  // ANYWIRE_EXAMPLES_FILECOPY_COPIER_H_
