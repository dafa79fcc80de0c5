// A method as generated code describes it, for clients and servers alike.
#ifndef ANYWIRE_RUNTIME_METHOD_METHOD_H_
#define ANYWIRE_RUNTIME_METHOD_METHOD_H_

#include <atomic>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace anywire {

enum class CallShape : uint8_t { kUnary, kClientStreaming, kServerStreaming, kBidiStreaming };

// One per method of a service, with static storage (constinit) in generated code.
class Method {
 public:
  // `full_name` is "package.Service/Method" ("Service/Method" without a package).
  constexpr Method(absl::string_view full_name, CallShape shape,
                   absl::Duration default_timeout = absl::InfiniteDuration())
      : full_name_(full_name), shape_(shape), default_timeout_(default_timeout) {}
  Method(const Method&) = delete;
  Method& operator=(const Method&) = delete;

  absl::string_view full_name() const { return full_name_; }
  CallShape shape() const { return shape_; }
  // How long a call may take whose CallOptions set no timeout: idl/options.proto. Infinite: not
  // said there.
  absl::Duration default_timeout() const { return default_timeout_; }
  // A small number that is the same for equal names in this process. Given out at first use.
  uint32_t index() const {
    const uint32_t index = index_.load(std::memory_order_acquire);
    return index != 0 ? index : AssignIndex();
  }

 private:
  uint32_t AssignIndex() const;
  const absl::string_view full_name_;
  const CallShape shape_;
  const absl::Duration default_timeout_;
  mutable std::atomic<uint32_t> index_{0};
};

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_METHOD_METHOD_H_
