// A client for tests of the server that may say what no stub would: bytes that are no message, two
// requests, none.
#ifndef ANYWIRE_RUNTIME_SERVER_RAW_CLIENT_H_
#define ANYWIRE_RUNTIME_SERVER_RAW_CLIENT_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "anywire/event_loop.h"
#include "anywire/metadata.h"
#include "anywire/method.h"
#include "anywire/registry.h"
#include "runtime/endpoint/endpoint.h"
#include "runtime/protocol/protocol.h"

namespace anywire {

// One call, as its events show it. Every wait has an end.
class RawCall final : private CallSink {
 public:
  // `half_close`: nothing follows `message`.
  RawCall(std::shared_ptr<Endpoint> endpoint, const Method& method, const std::string* message,
          bool half_close, absl::Duration timeout = absl::InfiniteDuration(),
          const Metadata* metadata = nullptr);
  ~RawCall();

  // Waits until the message is on its way; false when the call takes no more.
  bool Send(const std::string& message);
  void HalfClose();
  void Cancel();
  // The server gets no credit for what comes from now on, until GiveCredit gives it for all of
  // that.
  void HoldCredit();
  void GiveCredit();

  // The end of the call. DEADLINE_EXCEEDED "test" when it does not come.
  absl::Status WaitForEnd();
  // Waits until so many messages have come, or the call has ended; all that came.
  std::vector<std::string> WaitForMessages(size_t count);
  Metadata initial() const;
  Metadata trailing() const;

 private:
  void OnEvent(protocol::Event& event) override;
  bool KeepUnread(size_t size);

  const std::shared_ptr<Endpoint> endpoint_;
  protocol::CallId call_;
  mutable absl::Mutex mutex_;
  std::vector<std::string> messages_ ABSL_GUARDED_BY(mutex_);
  Metadata initial_ ABSL_GUARDED_BY(mutex_);
  Metadata trailing_ ABSL_GUARDED_BY(mutex_);
  bool holds_credit_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<size_t> unread_ ABSL_GUARDED_BY(mutex_);  // sizes of messages
  bool writable_ ABSL_GUARDED_BY(mutex_) = false;
  std::optional<absl::Status> end_ ABSL_GUARDED_BY(mutex_);
};

// One connection.
class RawClient {
 public:
  RawClient(const TransportRegistry& registry, absl::string_view uri,
            const protocol::Limits& limits = protocol::Limits());
  ~RawClient();

  // A call with exactly one message and its end, or what is left of that.
  std::unique_ptr<RawCall> Call(const Method& method, const std::string& message,
                                absl::Duration timeout = absl::InfiniteDuration()) {
    return std::make_unique<RawCall>(endpoint_, method, &message, true, timeout);
  }
  std::unique_ptr<RawCall> Open(const Method& method,
                                absl::Duration timeout = absl::InfiniteDuration()) {
    return std::make_unique<RawCall>(endpoint_, method, nullptr, false, timeout);
  }
  const std::shared_ptr<Endpoint>& endpoint() const { return endpoint_; }
  // Whether the connection has ended within the time.
  bool WaitForLoss(absl::Duration timeout = absl::Seconds(30));
  void Close();

 private:
  struct Loss;
  EventLoop loop_;
  std::shared_ptr<Loss> loss_;
  std::shared_ptr<Endpoint> endpoint_;
};

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_SERVER_RAW_CLIENT_H_
