// The one judge of calls, for all tests that make many: bulk, random and chaos.
//
// What it holds every call to:
//   - it ends exactly once, with exactly one status, of a code that the test allows;
//   - a reply belongs to its request, comes in its place and has every byte right;
//   - a handler sees it at most once, and exactly once when it succeeded;
//   - a failure that says "not sent" or "not processed" tells the truth: no handler saw the call.
//
// The first few breaches become test failures as they happen; the rest are counted. Any thread.
#ifndef ANYWIRE_TESTS_SUPPORT_CALL_CHECKER_H_
#define ANYWIRE_TESTS_SUPPORT_CALL_CHECKER_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace anywire::test {

// The codes with which a call may end.
class Allowed {
 public:
  Allowed(std::initializer_list<absl::StatusCode> codes) {
    for (absl::StatusCode code : codes) bits_ |= Bit(code);
  }
  bool Contains(absl::StatusCode code) const { return (bits_ & Bit(code)) != 0; }

 private:
  static uint32_t Bit(absl::StatusCode code) { return 1u << static_cast<int>(code); }
  uint32_t bits_ = 0;
};

class CallChecker {
 public:
  // For at most `capacity` calls.
  explicit CallChecker(size_t capacity);
  CallChecker(const CallChecker&) = delete;
  CallChecker& operator=(const CallChecker&) = delete;

  // ---- the client

  // A call is about to be made; its number.
  uint64_t Begin();
  // A reply of `call` has come, the `index`th; the rest is what the reply says of itself.
  void OnReply(uint64_t call, uint32_t index, uint64_t reply_call, uint32_t reply_index,
               absl::string_view body);
  // The call has ended.
  void End(uint64_t call, const absl::Status& status, Allowed allowed);

  // ---- the server

  // A handler runs for the call.
  void OnHandler(uint64_t call);

  // ---- the verdict

  // When no call is in progress any more, on either side: fails the test for calls that have not
  // ended and for each breach above that shows only now.
  void Verify();
  uint64_t begun() const { return next_.load(); }
  uint64_t ended(absl::StatusCode code) const { return ended_[static_cast<int>(code)].load(); }

 private:
  enum Fact : uint8_t {
    kEnded = 1,
    kSucceeded = 2,
    kDenied = 4,  // the status says that no handler saw it
    kHandled = 8,
  };
  void Breach(uint64_t call, absl::string_view what);
  uint8_t Note(uint64_t call, uint8_t facts);

  const size_t capacity_;
  const std::unique_ptr<std::atomic<uint8_t>[]> facts_;
  std::atomic<uint64_t> next_{0};
  std::atomic<uint64_t> breaches_{0};
  std::array<std::atomic<uint64_t>, 17> ended_ = {};
};

}  // namespace anywire::test

#endif  // ANYWIRE_TESTS_SUPPORT_CALL_CHECKER_H_
