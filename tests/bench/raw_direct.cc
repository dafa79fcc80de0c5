#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/bench/protobuf_work.h"
#include "tests/bench/raw_floors.h"

namespace anywire::bench {
namespace {

void DirectCall(const EchoMessage& request) {
  thread_local std::string request_bytes;
  thread_local std::string reply_bytes;
  request_bytes.clear();
  reply_bytes.clear();
  AppendSerialised(request, 0, &request_bytes);
  AnswerEcho(request_bytes, 0, &reply_bytes);
  TakeReply(request, reply_bytes);
}

class DirectClient final : public Client {
 public:
  DirectClient() : worker_([this] { Work(); }) {}
  ~DirectClient() override {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    changed_.notify_all();
    worker_.join();
  }

  void Call(const EchoMessage& request) override { DirectCall(request); }

  void Start(RepeatedCall& call) override {
    {
      const std::lock_guard lock(mutex_);
      new_calls_.push_back(&call);
    }
    has_new_.store(true, std::memory_order_release);
    changed_.notify_all();
  }

  uint64_t Upload(const EchoMessage& message, const std::atomic<bool>& stop) override {
    std::string bytes;
    EchoMessage received;
    uint64_t messages = 0;
    for (; !stop.load(std::memory_order_relaxed); ++messages) {
      bytes.clear();
      AppendSerialised(message, 0, &bytes);
      Parse(bytes, &received);
    }
    return messages;
  }

  void Chat(const EchoMessage& message, ChatProgress& progress) override {
    while (!progress.stop.load(std::memory_order_relaxed)) {
      DirectCall(message);
      progress.received.fetch_add(1, std::memory_order_relaxed);
    }
  }

 private:
  void Work() {
    std::vector<RepeatedCall*> calls;
    while (true) {
      if (calls.empty() || has_new_.load(std::memory_order_acquire)) {
        std::unique_lock lock(mutex_);
        if (calls.empty()) {
          changed_.wait(lock, [this] { return ending_ || !new_calls_.empty(); });
        }
        if (ending_) return;
        calls.insert(calls.end(), new_calls_.begin(), new_calls_.end());
        new_calls_.clear();
        has_new_ = false;
      }
      calls.erase(std::remove_if(calls.begin(), calls.end(),
                                 [](RepeatedCall* call) {
                                   DirectCall(call->request());
                                   return !call->OnReply();
                                 }),
                  calls.end());
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<RepeatedCall*> new_calls_;
  std::atomic<bool> has_new_{false};
  bool ending_ = false;
  std::thread worker_;
};

class RawDirect final : public System {
 public:
  std::string StartServer(const std::string& uri, const Parameters& /*parameters*/) override {
    return uri;
  }
  void StopServer() override {}
  std::unique_ptr<Client> Connect(const std::string& /*uri*/,
                                  const Parameters& /*parameters*/) override {
    return std::make_unique<DirectClient>();
  }
};

}  // namespace

std::unique_ptr<System> MakeRawDirect() { return std::make_unique<RawDirect>(); }

}  // namespace anywire::bench
