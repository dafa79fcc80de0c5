// The server's machine.
#ifndef ANYWIRE_RUNTIME_PROTOCOL_WIRE_SERVER_H_
#define ANYWIRE_RUNTIME_PROTOCOL_WIRE_SERVER_H_

#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/base/attributes.h"
#include "runtime/protocol/method_table.h"
#include "runtime/protocol/wire_machine.h"

namespace anywire::protocol {

class WireServer final : public WireMachine {
 public:
  WireServer(FrameSink& sink, FrameSizes frame_sizes, const Limits& limits, Instant now,
             CallFactory& factory);

  absl::Status SendInitialMetadata(CallId id, const Metadata& metadata) override;
  void Finish(CallId id, const absl::Status& status, const Metadata* trailing,
              const Payload* message) override;
  void FinishAndRelease(CallId id, const absl::Status& status, const Metadata* trailing,
                        const Payload* message) override;
  void Drain() override;
  void Release(CallId id, Events& events) override;
  absl::Status OnFrames(absl::Span<const ReceivedFrame> frames, Instant now,
                        Events& events) override;

  // Ends the call early with that status.
  void Cancel(CallId id, absl::Status status, Events& events) override;

 private:
  friend class WireMachine;

  const char* OnCallFrame(uint64_t stream, wire::Bytes bytes, Instant now, Events& events);
  const char* OnOpen(Call& call, wire::Bytes bytes, bool in_fragments, Instant now, Events& events);
  const char* FindMethod(const wire::OpenFrame& open, bool in_fragments, const void** method) {
    if (open.flags & wire::kLiteral) return FindByName(open, in_fragments, method);
    return methods_.Find(open.method, method) ? nullptr : "OPEN: unknown method id";
  }
  ABSL_ATTRIBUTE_NOINLINE const char* FindByName(const wire::OpenFrame& open, bool in_fragments,
                                                 const void** method);
  // Why a call cannot be accepted, or OK.
  absl::Status CheckOpen(const wire::OpenFrame& open, const void* method,
                         std::unique_ptr<Metadata>* metadata, const char** wrong);
  ABSL_ATTRIBUTE_COLD absl::Status TooManyCalls() const;
  ABSL_ATTRIBUTE_COLD static absl::Status UnknownMethod(const wire::OpenFrame& open);
  ABSL_ATTRIBUTE_COLD absl::Status MessageTooLarge(uint64_t size) const;
  ABSL_ATTRIBUTE_NOINLINE absl::Status TakeMetadata(const wire::OpenFrame& open,
                                                    std::unique_ptr<Metadata>* metadata,
                                                    const char** wrong) const;
  const char* OnFragmentFrame(Call& call, wire::Bytes bytes, Instant now, Events& events);
  const char* OnData(Call& call, wire::Bytes bytes, Events& events);
  const char* OnReset(Call& call, wire::Bytes bytes, Events& events);
  void OnReceiveEnded(Call& call);

  void FinishCall(Call& call, const absl::Status& status, const Metadata* trailing,
                  const Payload* message);
  // The same for what cannot be said, or not at once, by an END with the message; `plain`: not at
  // once.
  ABSL_ATTRIBUTE_NOINLINE void FinishOtherwise(Call& call, bool plain, const absl::Status& status,
                                               const Metadata* trailing, const Payload* message);
  // Writes the FINISH at once, with all that belongs to it. False: that is not possible now.
  bool WriteFinishNow(Call& call, const absl::Status& status, absl::string_view trailers,
                      const Payload* message);
  // Ends a call that no handler has seen.
  ABSL_ATTRIBUTE_COLD void Refuse(Call& call, const absl::Status& status);
  // Ends a call before its handler does; the handler, if there is one, is told.
  ABSL_ATTRIBUTE_COLD void Abandon(Call& call, const absl::Status& status, Events& events);
  // The rest of the call is this FINISH.
  void SendFinish(Call& call, const absl::Status& status, bool not_processed);
  void StopRunning(Call& call);

  void OnDeadline(Call& call, Events& events) override;
  void EndWithConnection(Call& call, const absl::Status& why, Events& events) override;

  CallFactory& factory_;
  ServerMethods methods_;
  const uint32_t max_calls_;
  size_t running_ = 0;            // calls whose handler has not finished
  size_t running_cancelled_ = 0;  // and of them those that are over for the client
  bool draining_ = false;
};

}  // namespace anywire::protocol

#endif  // ANYWIRE_RUNTIME_PROTOCOL_WIRE_SERVER_H_
