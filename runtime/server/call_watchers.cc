#include "runtime/server/call_watchers.h"

#include <iterator>
#include <utility>

#include "absl/time/time.h"

namespace anywire {

std::unique_ptr<CallWatchers> CallWatchers::For(
    const std::vector<std::shared_ptr<ServerInterceptor>>& interceptors, const Method& method) {
  std::unique_ptr<CallWatchers> watchers;
  for (const std::shared_ptr<ServerInterceptor>& interceptor : interceptors) {
    std::unique_ptr<ServerCallWatcher> watcher = interceptor->Intercept(method);
    if (watcher == nullptr) continue;
    if (watchers == nullptr) watchers.reset(new CallWatchers);
    const absl::MutexLock lock(&watchers->mutex_);
    watchers->watchers_.push_back(std::move(watcher));
  }
  return watchers;
}

absl::Status CallWatchers::OnStart(ServerContext& context) {
  const absl::MutexLock lock(&mutex_);
  for (auto watcher = watchers_.rbegin(); watcher != watchers_.rend(); ++watcher) {
    if (absl::Status status = (*watcher)->OnStart(context); !status.ok()) {
      watchers_.erase(watchers_.begin(), std::prev(watcher.base()));
      return status;
    }
  }
  return absl::OkStatus();
}

void CallWatchers::OnReceiveMessage(const google::protobuf::MessageLite& message) {
  const absl::MutexLock lock(&mutex_);
  for (auto watcher = watchers_.rbegin(); watcher != watchers_.rend(); ++watcher) {
    (*watcher)->OnReceiveMessage(message);
  }
}

void CallWatchers::OnSendMessage(const google::protobuf::MessageLite& message) {
  const absl::MutexLock lock(&mutex_);
  for (const auto& watcher : watchers_) watcher->OnSendMessage(message);
}

void CallWatchers::OnFinish(absl::Status& status, const Metadata& trailing) {
  const absl::Duration elapsed = absl::FromChrono(std::chrono::steady_clock::now() - begin_);
  const absl::MutexLock lock(&mutex_);
  for (const auto& watcher : watchers_) watcher->OnFinish(status, trailing, elapsed);
}

}  // namespace anywire
