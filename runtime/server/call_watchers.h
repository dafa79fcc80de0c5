// The interceptors' watchers of one call on the server. Calls without interceptors have none of it.
#ifndef ANYWIRE_RUNTIME_SERVER_CALL_WATCHERS_H_
#define ANYWIRE_RUNTIME_SERVER_CALL_WATCHERS_H_

#include <chrono>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "anywire/interceptor.h"
#include "anywire/metadata.h"
#include "anywire/method.h"
#include "google/protobuf/message_lite.h"

namespace anywire {

// Calls the watchers one at a time: what arrives in the reverse order of the interceptors'
// registration, what leaves in that order.
class CallWatchers {
 public:
  // Null when no interceptor is interested.
  static std::unique_ptr<CallWatchers> For(
      const std::vector<std::shared_ptr<ServerInterceptor>>& interceptors, const Method& method);

  // The first error ends it; the watchers after the one that said it hear nothing, not even of the
  // end.
  absl::Status OnStart(ServerContext& context);
  void OnReceiveMessage(const google::protobuf::MessageLite& message);
  void OnSendMessage(const google::protobuf::MessageLite& message);
  void OnFinish(absl::Status& status, const Metadata& trailing);

 private:
  CallWatchers() = default;

  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  absl::Mutex mutex_;
  std::vector<std::unique_ptr<ServerCallWatcher>> watchers_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_SERVER_CALL_WATCHERS_H_
