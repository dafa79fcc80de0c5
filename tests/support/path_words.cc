#include "tests/support/path_words.h"

#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"

namespace anywire::test {
namespace {

bool ParseTime(absl::string_view text, std::chrono::nanoseconds* time) {
  absl::Duration duration;
  if (!absl::ParseDuration(text, &duration)) return false;
  *time = absl::ToChronoNanoseconds(duration);
  return duration >= absl::ZeroDuration() && duration <= absl::Hours(1);
}

template <class Integer>
bool ParseNumber(absl::string_view text, Integer* number, uint64_t least, uint64_t most) {
  uint64_t value;
  if (!absl::SimpleAtoi(text, &value) || value < least || value > most) return false;
  *number = static_cast<Integer>(value);
  return true;
}

bool ParseWord(absl::string_view key, absl::string_view value, LivePathOptions& options) {
  PathOptions& path = options.path;
  if (key == "delay") return ParseTime(value, &path.delay);
  if (key == "jitter") return ParseTime(value, &path.jitter);
  if (key == "reorder") return ParseNumber(value, &path.reorder, 0, 100);
  if (key == "loss") return ParseNumber(value, &path.loss, 0, 100);
  if (key == "burst") return ParseNumber(value, &path.burst, 1, 1'000'000);
  if (key == "duplicate") return ParseNumber(value, &path.duplicate, 0, 100);
  if (key == "corrupt") return ParseNumber(value, &path.corrupt, 0, 100);
  if (key == "mtu") return ParseNumber(value, &path.mtu, 0, 65'535);
  if (key == "bandwidth") return absl::SimpleAtod(value, &path.bandwidth) && path.bandwidth >= 0;
  if (key == "queue") return ParseNumber(value, &path.queue, 0, 1 << 30);
  if (key == "seed") return absl::SimpleAtoi(value, &options.seed);
  return false;
}

}  // namespace

absl::StatusOr<LivePathOptions> ParsePathWords(absl::Span<const std::string> words) {
  LivePathOptions options;
  for (const std::string& word : words) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(word, absl::MaxSplits('=', 1));
    if (!ParseWord(parts.first, parts.second, options)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "\"", word, "\" says nothing of a path; allowed: delay=500us, jitter=1ms, reorder=10, ",
          "loss=1, burst=3, duplicate=1, corrupt=1 (percent), mtu=1200, bandwidth=1e6 (bytes/s), ",
          "queue=65536 (bytes), seed=1"));
    }
  }
  return options;
}

}  // namespace anywire::test
