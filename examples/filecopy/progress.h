// How far a copy is: counted by the threads that do it, shown on stderr by one that does nothing
// else.
#ifndef ANYWIRE_EXAMPLES_FILECOPY_PROGRESS_H_
#define ANYWIRE_EXAMPLES_FILECOPY_PROGRESS_H_

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"

namespace anywire::examples {

// Any thread may count.
class Progress {
 public:
  // Shows a line that is rewritten five times a second on a terminal, else a new line each second.
  static constexpr bool kShown = true;
  static constexpr bool kSilent = false;
  explicit Progress(bool shown);
  ~Progress();

  void Expect(uint64_t files, uint64_t bytes) {
    expected_bytes_.store(bytes, std::memory_order_relaxed);
    expected_files_.store(files, std::memory_order_relaxed);
  }
  void AddBytes(uint64_t bytes) { bytes_.fetch_add(bytes, std::memory_order_relaxed); }
  void AddFile() { files_.fetch_add(1, std::memory_order_relaxed); }

 private:
  void Show();
  std::string Line(absl::Duration since_start) const;

  const bool terminal_;
  std::atomic<uint64_t> expected_files_{0};
  std::atomic<uint64_t> expected_bytes_{0};
  std::atomic<uint64_t> files_{0};
  std::atomic<uint64_t> bytes_{0};
  absl::Notification over_;
  std::thread thread_;
};

}  // namespace anywire::examples

#endif  // ANYWIRE_EXAMPLES_FILECOPY_PROGRESS_H_
