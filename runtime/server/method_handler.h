// How a server holds a handler whose message types it does not know.
//
// A MethodHandler stands for a method of a service, an Invocation for one run of it: the messages,
// and the call of the user's function. Invocations are reused from call to call, so that a steady
// run of calls allocates no messages.
#ifndef ANYWIRE_RUNTIME_SERVER_METHOD_HANDLER_H_
#define ANYWIRE_RUNTIME_SERVER_METHOD_HANDLER_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "anywire/method.h"
#include "anywire/task.h"
#include "google/protobuf/message_lite.h"

namespace anywire {

class ServerContext;
class ServerStream;

namespace internal {

class Invocation {
 public:
  virtual ~Invocation() = default;

  // The one request, to be filled before the start. Null when requests are a stream.
  virtual google::protobuf::MessageLite* request() = 0;
  // The one reply, filled by the handler. Null when replies are a stream.
  virtual google::protobuf::MessageLite* reply() = 0;

  // Calls the handler, which may throw. Only the one that belongs to the handler's form.
  virtual Task<absl::Status> StartCoroutine(ServerContext& context, ServerStream& stream) = 0;
  virtual absl::Status RunBlocking(ServerContext& context, ServerStream& stream) = 0;

  // Bytes that the messages keep when they are cleared; about. SIZE_MAX when it cannot be known.
  virtual size_t RetainedBytes() const = 0;
  // Forgets the run; the messages keep their memory.
  virtual void Clear() = 0;

 private:
  friend class MethodHandler;

  // Large memory that is kept from run to run, in the account of the process.
  class LargeMemory {
   public:
    LargeMemory() = default;
    LargeMemory(const LargeMemory&) = delete;
    LargeMemory& operator=(const LargeMemory&) = delete;
    ~LargeMemory() { Release(); }
    // False: the account has no room for so much.
    bool Hold(size_t bytes);
    // Returns whether there was any.
    bool Release();

   private:
    size_t held_ = 0;
  };

  uint32_t runs_ = 0;
  LargeMemory large_;
};

class MethodHandler {
 public:
  enum class Form : uint8_t {
    kCoroutine,  // runs on the connection's thread
    kBlocking,   // runs on a worker thread
  };

  // Messages that keep more than this are reused only if those of the last run had a quarter of it
  // on the wire, and as long as all such in the process keep no more than kMaxRetainedByAll: to
  // have large memory from the system and give it back costs more than to fill it.
  static constexpr size_t kMaxRetainedBytes = 64 << 10;
  static constexpr size_t kMaxRetainedByAll = 16 << 20;

  MethodHandler(const Method& method, Form form) : method_(method), form_(form) {}
  virtual ~MethodHandler();
  MethodHandler(const MethodHandler&) = delete;
  MethodHandler& operator=(const MethodHandler&) = delete;

  const Method& method() const { return method_; }
  Form form() const { return form_; }

  // One with clear messages. Any thread.
  std::unique_ptr<Invocation> Take();
  // After its run; `message_bytes` is the size of its messages on the wire. Any thread.
  void GiveBack(std::unique_ptr<Invocation> invocation, size_t message_bytes);

 private:
  static bool MayRetain(Invocation& invocation, size_t message_bytes);

  // One place for each of a few groups of threads, so that threads do not contend for it.
  struct alignas(64) Slot {
    std::atomic<Invocation*> idle{nullptr};
  };
  static constexpr size_t kSlots = 8;

  virtual std::unique_ptr<Invocation> NewInvocation() = 0;
  Slot& SlotOfThread();

  const Method& method_;
  const Form form_;
  std::array<Slot, kSlots> slots_;
};

}  // namespace internal
}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_SERVER_METHOD_HANDLER_H_
