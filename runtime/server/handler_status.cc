#include "runtime/server/handler_status.h"

#include <kj/exception.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace anywire {
namespace {

constexpr uint32_t kLinesPerSecond = 10;

std::string TextOfException() {
  try {
    throw;
  } catch (const kj::Exception& exception) {
    return exception.getDescription().cStr();
  } catch (const std::exception& exception) {
    return exception.what();
  } catch (...) {
    return "an exception of unknown type";
  }
}

// Not in the middle of a character of UTF-8.
absl::string_view Cut(absl::string_view text) {
  if (text.size() <= kMaxExceptionText) return text;
  size_t size = kMaxExceptionText;
  while (size > kMaxExceptionText - 3 && (static_cast<uint8_t>(text[size]) & 0xc0) == 0x80) --size;
  return text.substr(0, size);
}

bool MayLog() {
  static constinit std::atomic<int64_t> second{0};
  static constinit std::atomic<uint32_t> lines{0};
  const int64_t now = std::chrono::duration_cast<std::chrono::seconds>(
                          std::chrono::steady_clock::now().time_since_epoch())
                          .count();
  if (second.exchange(now, std::memory_order_relaxed) != now) {
    lines.store(0, std::memory_order_relaxed);
  }
  return lines.fetch_add(1, std::memory_order_relaxed) < kLinesPerSecond;
}

}  // namespace

absl::Status StatusOfException(const Method& method) {
  if (MayLog()) {
    const std::string text = TextOfException();
    std::fprintf(stderr, "anywire: the handler of %s threw: %s\n",
                 std::string(method.full_name()).c_str(), absl::Utf8SafeCEscape(Cut(text)).c_str());
  }
  return absl::InternalError(absl::StrCat(method.full_name(), ": the handler threw an exception"));
}

}  // namespace anywire
