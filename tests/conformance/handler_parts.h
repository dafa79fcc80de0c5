// What the coroutine handlers and the blocking ones have in common.
#ifndef ANYWIRE_TESTS_CONFORMANCE_HANDLER_PARTS_H_
#define ANYWIRE_TESTS_CONFORMANCE_HANDLER_PARTS_H_

#include "tests/conformance/services.h"

namespace anywire::test {

// Counts the end of a handler, however it ends.
class HandlerEnd {
 public:
  explicit HandlerEnd(Probe& probe) : probe_(probe) {}
  ~HandlerEnd() { probe_.ended.Add(); }
  HandlerEnd(const HandlerEnd&) = delete;
  HandlerEnd& operator=(const HandlerEnd&) = delete;

 private:
  Probe& probe_;
};

// What one handler has received so far.
struct Received {
  uint64_t body_bytes = 0;
  uint32_t requests = 0;
};

// At the start of a handler: metadata that is asked back, the test's own function.
void BeginHandler(Probe& probe, ServerContext& context);
// For each request: the checker, the count, the exception that was asked for. DATA_LOSS when it is
// not what was sent.
absl::Status TakeRequest(Probe& probe, const Request& request, Received& received);
Reply MakeReply(const Request& request, uint32_t index, size_t size, const Received& received);
// The first of the sizes that the request asks for, or 0.
size_t ReplySize(const Request& request);
// For a handler whose Write said that the call is over.
absl::Status ReaderHasGone(Probe& probe);
absl::Status AskedStatus(const Request& request);

}  // namespace anywire::test

#endif  // ANYWIRE_TESTS_CONFORMANCE_HANDLER_PARTS_H_
