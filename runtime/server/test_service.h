// A service for tests of the server: what each handler does is a function of the test.
#ifndef ANYWIRE_RUNTIME_SERVER_TEST_SERVICE_H_
#define ANYWIRE_RUNTIME_SERVER_TEST_SERVICE_H_

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "anywire/awaitable.h"
#include "anywire/method.h"
#include "anywire/operation.h"
#include "anywire/service.h"
#include "google/protobuf/wrappers.pb.h"

namespace anywire {

using Text = google::protobuf::StringValue;
using Reader = ServerReader<Text>;
using Writer = ServerWriter<Text>;
using ReaderWriter = ServerReaderWriter<Text, Text>;

inline constinit const Method kEcho("test.Service/Echo", CallShape::kUnary);
inline constinit const Method kUpload("test.Service/Upload", CallShape::kClientStreaming);
inline constinit const Method kDownload("test.Service/Download", CallShape::kServerStreaming);
inline constinit const Method kChat("test.Service/Chat", CallShape::kBidiStreaming);
inline constinit const Method kBlockingEcho("test.Service/BlockingEcho", CallShape::kUnary);
inline constinit const Method kBlockingChat("test.Service/BlockingChat", CallShape::kBidiStreaming);

// Set the functions before the server starts.
class TestService final : public Service {
 public:
  std::function<Task<absl::Status>(ServerContext&, const Text&, Text*)> echo =
      [](ServerContext&, const Text& request, Text* reply) -> Task<absl::Status> {
    reply->set_value(request.value());
    co_return absl::OkStatus();
  };
  std::function<Task<absl::Status>(ServerContext&, Reader&, Text*)> upload;
  std::function<Task<absl::Status>(ServerContext&, const Text&, Writer&)> download;
  std::function<Task<absl::Status>(ServerContext&, ReaderWriter&)> chat;
  std::function<absl::Status(ServerContext&, const Text&, Text*)> blocking_echo =
      [](ServerContext&, const Text& request, Text* reply) {
        reply->set_value(request.value());
        return absl::OkStatus();
      };
  std::function<absl::Status(ServerContext&, BlockingServerReaderWriter<Text, Text>&)>
      blocking_chat;

  absl::string_view service_name() const override { return "test.Service"; }
  void Bind(MethodBinder& binder) override {
    binder.Add(kEcho, this, &TestService::Echo);
    binder.Add(kUpload, this, &TestService::Upload);
    binder.Add(kDownload, this, &TestService::Download);
    binder.Add(kChat, this, &TestService::Chat);
    binder.Add(kBlockingEcho, this, &TestService::BlockingEcho);
    binder.Add(kBlockingChat, this, &TestService::BlockingChat);
  }

 private:
  Task<absl::Status> Echo(ServerContext& context, const Text& request, Text* reply) {
    return echo(context, request, reply);
  }
  Task<absl::Status> Upload(ServerContext& context, Reader& reader, Text* reply) {
    return upload(context, reader, reply);
  }
  Task<absl::Status> Download(ServerContext& context, const Text& request, Writer& writer) {
    return download(context, request, writer);
  }
  Task<absl::Status> Chat(ServerContext& context, ReaderWriter& stream) {
    return chat(context, stream);
  }
  absl::Status BlockingEcho(ServerContext& context, const Text& request, Text* reply) {
    return blocking_echo(context, request, reply);
  }
  absl::Status BlockingChat(ServerContext& context,
                            BlockingServerReaderWriter<Text, Text>& stream) {
    return blocking_chat(context, stream);
  }
};

// Something that a coroutine awaits until a test, or another thread, lets it go on.
class Door {
 public:
  auto Pass() {
    return internal::AwaitStep(
        [this](Operation& done) {
          {
            const absl::MutexLock lock(&mutex_);
            if (!open_) {
              waiting_.push_back(&done);
              return;
            }
          }
          done.Done(true);
        },
        [](bool) {});
  }
  void Open() {
    std::vector<Operation*> waiting;
    {
      const absl::MutexLock lock(&mutex_);
      open_ = true;
      waiting = std::move(waiting_);
    }
    for (Operation* operation : waiting) operation->Done(true);
  }
  void WaitUntilSomebodyWaits() {
    const absl::MutexLock lock(&mutex_);
    const auto waiting = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return !waiting_.empty(); };
    mutex_.AwaitWithTimeout(absl::Condition(&waiting), absl::Seconds(30));
  }

 private:
  absl::Mutex mutex_;
  bool open_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<Operation*> waiting_ ABSL_GUARDED_BY(mutex_);
};

inline std::string Wire(const std::string& value) {
  Text text;
  text.set_value(value);
  return text.SerializeAsString();
}
inline std::string Value(const std::string& bytes) {
  Text text;
  return text.ParseFromString(bytes) ? text.value() : "not a message";
}

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_SERVER_TEST_SERVICE_H_
