// The handlers of testing.proto, as coroutines and as blocking functions, and what tests learn from
// them.
#ifndef ANYWIRE_TESTS_CONFORMANCE_SERVICES_H_
#define ANYWIRE_TESTS_CONFORMANCE_SERVICES_H_

#include <functional>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "anywire/channel.h"
#include "tests/conformance/testing.anywire.h"
#include "tests/support/call_checker.h"
#include "tests/support/gate.h"

namespace anywire::test {

using conformance::Conformance;
using conformance::Nothing;
using conformance::Reply;
using conformance::Request;

// The call that asks whether a channel still works; checkers are not told of it.
inline constexpr uint64_t kAliveCall = 1ull << 40;

// Shared by a test and its handlers. Outlives the server.
class Probe {
 public:
  // Handlers that have begun, that were told of the end of their call while they waited for it or
  // wrote, and that have ended.
  Counter started;
  Counter cancelled;
  Counter ended;
  // Requests that handlers have received.
  Counter received;
  // Replies of streams that handlers have written.
  Counter written;
  // Opened by the test, for requests that hold until then.
  Gate release;

  // `function` is called at the start of each handler. What it notes may be read after
  // started.WaitFor().
  void OnStart(std::function<void(ServerContext&)> function) ABSL_LOCKS_EXCLUDED(mutex_);
  // `checker` is told of each call that a handler sees.
  void TellChecker(CallChecker* checker) ABSL_LOCKS_EXCLUDED(mutex_);

  // For handlers.
  void Starting(ServerContext& context) ABSL_LOCKS_EXCLUDED(mutex_);
  void Handling(uint64_t call) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  absl::Mutex mutex_;
  std::shared_ptr<const std::function<void(ServerContext&)>> on_start_ ABSL_GUARDED_BY(mutex_);
  CallChecker* checker_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

class CoroutineConformance final : public Conformance::Service {
 public:
  explicit CoroutineConformance(Probe& probe) : probe_(probe) {}
  Task<absl::Status> Empty(ServerContext& context, const Nothing& request, Nothing* reply) override;
  Task<absl::Status> Unary(ServerContext& context, const Request& request, Reply* reply) override;
  Task<absl::Status> Upload(ServerContext& context, ServerReader<Request>& reader,
                            Reply* reply) override;
  Task<absl::Status> Download(ServerContext& context, const Request& request,
                              ServerWriter<Reply>& writer) override;
  Task<absl::Status> Chat(ServerContext& context,
                          ServerReaderWriter<Request, Reply>& stream) override;

 private:
  Task<void> Hold(ServerContext& context, const Request& request);
  Probe& probe_;
};

class BlockingConformance final : public Conformance::BlockingService {
 public:
  explicit BlockingConformance(Probe& probe) : probe_(probe) {}
  absl::Status Empty(ServerContext& context, const Nothing& request, Nothing* reply) override;
  absl::Status Unary(ServerContext& context, const Request& request, Reply* reply) override;
  absl::Status Upload(ServerContext& context, BlockingServerReader<Request>& reader,
                      Reply* reply) override;
  absl::Status Download(ServerContext& context, const Request& request,
                        BlockingServerWriter<Reply>& writer) override;
  absl::Status Chat(ServerContext& context,
                    BlockingServerReaderWriter<Request, Reply>& stream) override;

 private:
  void Hold(ServerContext& context, const Request& request);
  Probe& probe_;
};

// Forwards to another server, by a call of its own.
class CoroutineRelay final : public conformance::Relay::Service {
 public:
  explicit CoroutineRelay(const Channel& channel, bool inherit = true)
      : stub_(channel), inherit_(inherit) {}
  Task<absl::Status> Unary(ServerContext& context, const Request& request, Reply* reply) override;
  // How the calls it made ended.
  Counter calls_ended;
  std::function<void(const absl::Status&)> on_end;

 private:
  const Conformance::Stub stub_;
  const bool inherit_;
};

class BlockingRelay final : public conformance::Relay::BlockingService {
 public:
  explicit BlockingRelay(const Channel& channel, bool inherit = true)
      : stub_(channel), inherit_(inherit) {}
  absl::Status Unary(ServerContext& context, const Request& request, Reply* reply) override;
  Counter calls_ended;
  std::function<void(const absl::Status&)> on_end;

 private:
  const Conformance::Stub stub_;
  const bool inherit_;
};

// ---- requests and replies

// A request with a verifiable body.
Request MakeRequest(uint64_t call, size_t body_size, std::vector<uint32_t> reply_sizes = {},
                    uint32_t index = 0);
// OK when `reply` is the `index`th to `request`'s call and has a right body of `size` bytes.
absl::Status CheckReply(const Request& request, const Reply& reply, uint32_t index, size_t size);
// The largest body with which the message has exactly `size` bytes on the wire.
void PadTo(Request& request, size_t size);

}  // namespace anywire::test

#endif  // ANYWIRE_TESTS_CONFORMANCE_SERVICES_H_
