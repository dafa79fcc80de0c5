#include "examples/filecopy/progress.h"

#include <stdio.h>
#include <unistd.h>

#include <chrono>

#include "absl/strings/str_format.h"

namespace anywire::examples {

Progress::Progress(bool shown) : terminal_(isatty(STDERR_FILENO) != 0) {
  if (shown) thread_ = std::thread([this] { Show(); });
}

Progress::~Progress() {
  over_.Notify();
  if (thread_.joinable()) thread_.join();
}

void Progress::Show() {
  const auto start = std::chrono::steady_clock::now();
  const absl::Duration interval = terminal_ ? absl::Milliseconds(200) : absl::Seconds(1);
  while (!over_.WaitForNotificationWithTimeout(interval)) {
    const std::string line = Line(absl::FromChrono(std::chrono::steady_clock::now() - start));
    // On a terminal: over the last line, whose rest is cleared.
    if (terminal_) {
      absl::FPrintF(stderr, "\r%s\033[K", line);
    } else {
      absl::FPrintF(stderr, "%s\n", line);
    }
    fflush(stderr);
  }
  if (terminal_) absl::FPrintF(stderr, "\r\033[K");
}

std::string Progress::Line(absl::Duration since_start) const {
  const uint64_t expected = expected_files_.load(std::memory_order_relaxed);
  if (expected == 0) return "listing ...";
  const double megabytes = static_cast<double>(bytes_.load(std::memory_order_relaxed)) / 1e6;
  return absl::StrFormat("%d of %d files, %.1f of %.1f MB, %.1f MB/s",
                         files_.load(std::memory_order_relaxed), expected, megabytes,
                         static_cast<double>(expected_bytes_.load(std::memory_order_relaxed)) / 1e6,
                         megabytes / absl::ToDoubleSeconds(since_start));
}

}  // namespace anywire::examples
