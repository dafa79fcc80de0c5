// The client's machine.
#ifndef ANYWIRE_RUNTIME_PROTOCOL_WIRE_CLIENT_H_
#define ANYWIRE_RUNTIME_PROTOCOL_WIRE_CLIENT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/attributes.h"
#include "runtime/protocol/method_table.h"
#include "runtime/protocol/wire_machine.h"

namespace anywire::protocol {

class WireClient final : public WireMachine {
 public:
  WireClient(FrameSink& sink, FrameSizes frame_sizes, const Limits& limits, Instant now);

  absl::StatusOr<CallId> Open(const OpenRequest& request, Instant now, bool* queued) override;
  void HalfClose(CallId id) override;
  void Cancel(CallId id, absl::Status status, Events& events) override;
  void Release(CallId id, Events& events) override;
  absl::Status OnFrames(absl::Span<const ReceivedFrame> frames, Instant now,
                        Events& events) override;

 private:
  friend class WireMachine;

  absl::Status CheckOpen(const OpenRequest& request, Instant now) const;
  ABSL_ATTRIBUTE_COLD absl::Status MessageTooLarge(size_t size) const;
  ABSL_ATTRIBUTE_COLD absl::Status TooManyWaiting() const;
  ABSL_ATTRIBUTE_NOINLINE void OpenWithMetadata(Call& call, const OpenRequest& request, Instant now,
                                                bool* queued);
  // Keeps what the call has to say until it can be written.
  ABSL_ATTRIBUTE_NOINLINE void OpenLater(Call& call, const OpenRequest& request,
                                         std::string metadata, bool* queued);
  bool WriteOpenNow(Call& call, const OpenRequest& request, absl::string_view metadata,
                    Instant now);
  bool WriteOpen(Call& call, Instant now, Events& events) override;
  // Sets the fields that name the method.
  void NameMethod(Call& call, uint32_t index, absl::string_view name, wire::OpenFrame* open);
  void OnOpenWritten(Call& call, const wire::OpenFrame& open);

  // A free stream, or 0.
  uint32_t TakeStream();
  ABSL_ATTRIBUTE_NOINLINE void StartWaiting();

  // The call's one end, with what `bits` says beside. The event's `metadata` is the caller's to
  // add. The wire's side of the call goes on until both directions have ended.
  Event& EndCall(Call& call, Events& events, uint8_t bits = 0, ReceivedMessage&& message = {});
  // The same for a reason of our own; the peer is told by RESET with that code.
  ABSL_ATTRIBUTE_COLD void Abandon(Call& call, absl::Status status, Events& events);

  const char* OnCallFrame(uint64_t stream, wire::Bytes bytes, Instant now, Events& events);
  const char* OnWholeFrame(Call& call, wire::Bytes bytes, Events& events);
  const char* OnData(Call& call, wire::Bytes bytes, Events& events);
  const char* OnFinish(Call& call, wire::Bytes bytes, Events& events);
  const char* OnFragmentFrame(Call& call, wire::Bytes bytes, Events& events);
  ABSL_ATTRIBUTE_NOINLINE const char* OnMetadata(Call& call, absl::string_view block,
                                                 std::unique_ptr<Metadata>* metadata,
                                                 Events& events);
  // The server's last frame: ends what is left of the call on the wire.
  void OnReceiveEnded(Call& call);

  void OnDeadline(Call& call, Events& events) override;
  void EndWithConnection(Call& call, const absl::Status& why, Events& events) override;
  void OnNews(const ConnectionControl::News& news, Events& events) override;
  void OnStreamFree(uint32_t stream) override;

  ClientMethods methods_;
  std::vector<uint32_t> free_streams_;
  uint32_t used_streams_ = 0;  // the highest that was ever used
  uint32_t max_streams_;
};

}  // namespace anywire::protocol

#endif  // ANYWIRE_RUNTIME_PROTOCOL_WIRE_CLIENT_H_
