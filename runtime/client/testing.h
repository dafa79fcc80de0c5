// For tests of the client: a transport whose attempts to connect end when and as the test says.
#ifndef ANYWIRE_RUNTIME_CLIENT_TESTING_H_
#define ANYWIRE_RUNTIME_CLIENT_TESTING_H_

#include <kj/async.h>

#include <deque>
#include <memory>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "anywire/channel.h"
#include "anywire/operation.h"
#include "anywire/transport.h"
#include "google/protobuf/message_lite.h"
#include "google/protobuf/wrappers.pb.h"
#include "gtest/gtest.h"
#include "runtime/endpoint/testing.h"

namespace anywire::test {

// The attempts to connect of a ScriptedTransport, in their order. Any thread.
class DialLog {
 public:
  // Waits for the `index`th attempt.
  void WaitForDial(size_t index) ABSL_LOCKS_EXCLUDED(mutex_);
  size_t dials() ABSL_LOCKS_EXCLUDED(mutex_);
  // The attempt succeeds; what its connection does is in the script.
  std::shared_ptr<ConnectionScript> Accept(size_t index) ABSL_LOCKS_EXCLUDED(mutex_);
  void Refuse(size_t index, absl::Status status) ABSL_LOCKS_EXCLUDED(mutex_);
  // Waits until the attempt has been given up.
  void WaitUntilAbandoned(size_t index) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  friend class ScriptedTransport;
  using Result = absl::StatusOr<std::unique_ptr<Connection>>;
  struct Dial {
    EventLoop* loop = nullptr;
    kj::Own<kj::PromiseFulfiller<Result>> fulfiller;  // the loop's thread alone
    bool over = false;
  };
  void End(size_t index, std::function<Result(EventLoop&)> make) ABSL_LOCKS_EXCLUDED(mutex_);

  absl::Mutex mutex_;
  std::deque<Dial> dials_ ABSL_GUARDED_BY(mutex_);
};

// Scheme "scripted"; any address.
class ScriptedTransport final : public Transport {
 public:
  explicit ScriptedTransport(DialLog& log) : log_(log) {}

  absl::string_view scheme() const override { return "scripted"; }
  absl::Status CheckAddress(absl::string_view) const override { return absl::OkStatus(); }
  kj::Promise<absl::StatusOr<std::unique_ptr<Connection>>> Connect(
      EventLoop& loop, absl::string_view address, const ConnectOptions& options) override;
  absl::StatusOr<std::unique_ptr<Listener>> Listen(EventLoop&, absl::string_view,
                                                   const ListenOptions&) override {
    return absl::UnimplementedError("the test has no listeners");
  }
  std::string FreshAddress(absl::string_view) override { return "peer"; }

 private:
  DialLog& log_;
};

// A call's operation, and who completed it.
class NotedOperation final : public Operation {
 public:
  void Done(bool ok) override {
    ok_ = ok;
    thread_ = std::this_thread::get_id();
    done_.Notify();
  }
  // Waits.
  bool ok() {
    done_.WaitForNotification();
    return ok_;
  }
  std::thread::id thread() {
    done_.WaitForNotification();
    return thread_;
  }
  bool done() const { return done_.HasBeenNotified(); }

 private:
  absl::Notification done_;
  bool ok_ = false;
  std::thread::id thread_;
};

// A message of so many bytes, which must not come to be serialised.
class OversizedMessage final : public google::protobuf::MessageLite {
 public:
  explicit OversizedMessage(size_t size) : size_(size) {}
  std::string GetTypeName() const override { return "test.Oversized"; }
  MessageLite* New(google::protobuf::Arena*) const override { return nullptr; }
  void Clear() override {}
  bool IsInitialized() const override { return true; }
  void CheckTypeAndMergeFrom(const MessageLite&) override {}
  size_t ByteSizeLong() const override { return size_; }
  int GetCachedSize() const override { return static_cast<int>(size_); }
  uint8_t* _InternalSerialize(uint8_t* to,
                              google::protobuf::io::EpsCopyOutputStream*) const override {
    ADD_FAILURE() << "was serialised";
    return to;
  }

 private:
  const size_t size_;
};

inline google::protobuf::StringValue Text(const std::string& text) {
  google::protobuf::StringValue value;
  value.set_value(text);
  return value;
}

// The bytes of such a message, for ScriptedPeer.
inline std::string Bytes(const std::string& text) { return Text(text).SerializeAsString(); }

}  // namespace anywire::test

#endif  // ANYWIRE_RUNTIME_CLIENT_TESTING_H_
