// For tests of the endpoint in the client's role: a scripted connection below it, calls above it.
#ifndef ANYWIRE_RUNTIME_ENDPOINT_CLIENT_ROLE_FIXTURE_H_
#define ANYWIRE_RUNTIME_ENDPOINT_CLIENT_ROLE_FIXTURE_H_

#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "runtime/endpoint/endpoint.h"
#include "runtime/endpoint/testing.h"
#include "runtime/protocol/wire_protocol.h"
#include "tests/support/gate.h"
#include "tests/support/watchdog.h"

namespace anywire::test {

class EndpointPeek {
 public:
  // Waits until so many threads sleep in Await because others have the roles.
  static void WaitForParked(Endpoint& endpoint, int count) {
    WaitUntil(endpoint, [&endpoint, count]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
      int found = 0;
      for (auto* it = endpoint.parked_; it != nullptr; it = it->next_parked_) ++found;
      return found == count;
    });
  }
  static void WaitForDispatcher(Endpoint& endpoint, bool any) {
    WaitUntil(endpoint, [&endpoint, any]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
      return endpoint.dispatching_ == any;
    });
  }

 private:
  // Looks again and again, as the endpoint's mutex knows no conditions; bounded by the test's own
  // time.
  template <typename Condition>
  static void WaitUntil(Endpoint& endpoint, Condition condition) {
    for (;;) {
      {
        MutexLock lock(&endpoint.mutex_);
        if (condition()) return;
      }
      std::this_thread::yield();
    }
  }
};

using protocol::Event;
using protocol::Instant;
using protocol::Protocol;

inline constexpr absl::Duration kLimit = absl::Seconds(30);
inline constexpr absl::string_view kMethod = "test.Service/Method";

inline protocol::Payload PayloadOf(const std::string& bytes) {
  return {.size = bytes.size(),
          .object = bytes.data(),
          .write = [](const void* object, uint8_t* to, size_t size) {
            if (size != 0) std::memcpy(to, object, size);
          }};
}

// A call on the client, of which everything that happens is noted.
class TestCall final : public CallSink {
  // (First, since its type is what it returns.)
  auto OpenCommand(const protocol::Payload* payload, Instant deadline) {
    return [this, payload, deadline](Protocol& protocol, Protocol::Events&) {
      bool queued = false;
      absl::StatusOr<protocol::CallId> id =
          protocol.Open({.tag = static_cast<CallSink*>(this),
                         .method = {.full_name = kMethod, .index = 1},
                         .deadline = deadline,
                         .message = payload,
                         .half_close = payload != nullptr},
                        std::chrono::steady_clock::now(), &queued);
      if (id.ok()) id_ = *id;
      return id.status();
    };
  }

 public:
  auto SendCommand(const std::string& message) {
    return [this, &message](Protocol& protocol, Protocol::Events&) {
      return protocol.Send(id_, PayloadOf(message));
    };
  }

  explicit TestCall(std::shared_ptr<Endpoint> endpoint) : endpoint_(std::move(endpoint)) {}

  absl::Status Open(const std::string& request, Instant deadline = Instant::max()) {
    const protocol::Payload payload = PayloadOf(request);
    return DoOpen(&payload, deadline);
  }
  // Without a request; more is sent by Send.
  absl::Status OpenStream() { return DoOpen(nullptr, Instant::max()); }
  protocol::SendResult Send(const std::string& message) {
    return endpoint_->Run(SendCommand(message));
  }
  void Cancel() {
    endpoint_->Run([this](Protocol& protocol, Protocol::Events& events) {
      protocol.Cancel(id_, absl::CancelledError("by the test"), events);
    });
  }

  // Opens the call and waits for its end on this thread; the status.
  absl::Status Call(const std::string& request, bool cancellable = false) {
    if (absl::Status status = Open(request); !status.ok()) return status;
    endpoint_->Await(ended, cancellable);
    over.WaitForNotification();  // whoever told of the end may still be at it
    return status;
  }

  // The same in one, so that this thread sends the request too.
  absl::Status CallInOne(const std::string& request) {
    const Endpoint::ScopedBorrow borrow;
    const protocol::Payload payload = PayloadOf(request);
    absl::Status opened = endpoint_->RunAndAwait(OpenCommand(&payload, Instant::max()), ended,
                                                 false, std::chrono::steady_clock::now());
    if (!opened.ok()) return opened;
    over.WaitForNotification();
    return status;
  }

  // Runs in OnEvent, before anything is noted.
  std::function<void(Event&)> hook;
  BlockingOperation ended;
  BlockingOperation writable;
  absl::Notification over;  // after `ended`
  std::string reply;
  absl::Status status;
  std::thread::id thread;  // of the last event

 private:
  absl::Status DoOpen(const protocol::Payload* payload, Instant deadline) {
    return endpoint_->Run(OpenCommand(payload, deadline));
  }

  void OnEvent(Event& event) override {
    thread = std::this_thread::get_id();
    if (hook) hook(event);
    if (event.bits & Event::kMessage) {
      reply.append(event.message.bytes.begin(), event.message.bytes.end());
      if ((event.bits & Event::kFinished) == 0) {
        endpoint_->Run([this, &event](Protocol& protocol, Protocol::Events&) {
          protocol.Consumed(id_, event.message.bytes.size());
        });
      }
    }
    if (event.bits & Event::kWritable) writable.Done(true);
    if (event.bits & Event::kFinished) {
      if (event.final != nullptr) status = event.final->status;
      endpoint_->Run(
          [this](Protocol& protocol, Protocol::Events& events) { protocol.Release(id_, events); });
      ended.Done(status.ok());
      over.Notify();
    }
  }

  const std::shared_ptr<Endpoint> endpoint_;
  protocol::CallId id_;
};

// Stops the first thread that transmits, inside; later ones go through.
class HeldTransmit {
 public:
  explicit HeldTransmit(ConnectionScript& script) : script_(script) {
    script.SetTransmitHook([state = state_] {
      if (state->rounds++ > 0) return;
      state->inside.Open();
      state->go_on.Wait();
    });
  }
  ~HeldTransmit() { script_.SetTransmitHook(nullptr); }
  HeldTransmit(const HeldTransmit&) = delete;
  HeldTransmit& operator=(const HeldTransmit&) = delete;

  void WaitUntilInside() { state_->inside.Wait(); }
  void GoOn() { state_->go_on.Open(); }
  // How many have been inside.
  int rounds() const { return state_->rounds; }

 private:
  struct State {
    Gate inside, go_on;
    std::atomic<int> rounds{0};
  };
  ConnectionScript& script_;
  const std::shared_ptr<State> state_ = std::make_shared<State>();
};

class EndpointTest : public ::testing::Test {
 protected:
  explicit EndpointTest(std::chrono::nanoseconds max_spin = {})
      : watchdog_(TestName(), kLimit), spin_(max_spin, /*cores=*/2), peer_(script_) {
    limits_.keepalive_time = std::chrono::hours(1);
    limits_.handshake_timeout = std::chrono::hours(1);
    endpoint_ = Endpoint::Start(
        loop_, std::make_unique<ScriptedConnection>(loop_, script_), Endpoint::Role::kClient,
        /*drivers=*/nullptr, &spin_,
        [this](Connection& connection) {
          return protocol::MakeWireClient(connection, connection.info().max_frame_size, limits_,
                                          std::chrono::steady_clock::now());
        },
        [this](const absl::Status& why) {
          EXPECT_TRUE(loop_.IsCurrent());
          lost_why_ = why;
          EXPECT_FALSE(lost_.HasBeenNotified());
          lost_.Notify();
        });
    peer_.ReadMore();  // the hello
  }
  ~EndpointTest() override {
    if (endpoint_ != nullptr) endpoint_->Close(absl::CancelledError("the test ends"));
    endpoint_ = nullptr;
    script_->WaitUntilDestroyed();
  }

  static std::string TestName() {
    return ::testing::UnitTest::GetInstance()->current_test_info()->name();
  }
  // Waits until the loop has done what was posted to it before.
  void SettleLoop() {
    loop_.RunAndWait([] {});
  }

  Watchdog watchdog_;
  EventLoop loop_{"test-loop"};
  protocol::Limits limits_;
  SpinLimit spin_;
  const std::shared_ptr<ConnectionScript> script_ = std::make_shared<ConnectionScript>();
  ScriptedPeer peer_;
  absl::Notification lost_;
  absl::Status lost_why_;
  std::shared_ptr<Endpoint> endpoint_;
};

}  // namespace anywire::test

#endif  // ANYWIRE_RUNTIME_ENDPOINT_CLIENT_ROLE_FIXTURE_H_
