#include "tests/conformance/handler_parts.h"
#include "tests/conformance/services.h"

namespace anywire::test {

Task<void> CoroutineConformance::Hold(ServerContext& context, const Request& request) {
  switch (request.hold()) {
    case Request::CANCELLATION:
      co_await Cancelled(context.cancellation());
      probe_.cancelled.Add();
      break;
    case Request::RELEASE:
      co_await probe_.release.Opened();
      break;
    default:
      break;
  }
}

Task<absl::Status> CoroutineConformance::Empty(ServerContext& context, const Nothing&, Nothing*) {
  const HandlerEnd end(probe_);
  BeginHandler(probe_, context);
  co_return absl::OkStatus();
}

Task<absl::Status> CoroutineConformance::Unary(ServerContext& context, const Request& request,
                                               Reply* reply) {
  const HandlerEnd end(probe_);
  BeginHandler(probe_, context);
  Received received;
  if (absl::Status taken = TakeRequest(probe_, request, received); !taken.ok()) co_return taken;
  co_await Hold(context, request);
  *reply = MakeReply(request, 0, ReplySize(request), received);
  co_return AskedStatus(request);
}

Task<absl::Status> CoroutineConformance::Upload(ServerContext& context,
                                                ServerReader<Request>& reader, Reply* reply) {
  const HandlerEnd end(probe_);
  BeginHandler(probe_, context);
  Received received;
  Request request;
  Request last;
  while (co_await reader.Read(&request)) {
    if (absl::Status taken = TakeRequest(probe_, request, received); !taken.ok()) co_return taken;
    co_await Hold(context, request);
    if (request.has_status()) co_return AskedStatus(request);
    last.Swap(&request);
  }
  *reply = MakeReply(last, 0, ReplySize(last), received);
  co_return absl::OkStatus();
}

Task<absl::Status> CoroutineConformance::Download(ServerContext& context, const Request& request,
                                                  ServerWriter<Reply>& writer) {
  const HandlerEnd end(probe_);
  BeginHandler(probe_, context);
  Received received;
  if (absl::Status taken = TakeRequest(probe_, request, received); !taken.ok()) co_return taken;
  for (int i = 0; i < request.reply_sizes_size(); ++i) {
    const Reply reply = MakeReply(request, i, request.reply_sizes(i), received);
    if (!co_await writer.Write(reply)) co_return ReaderHasGone(probe_);
    probe_.written.Add();
  }
  co_await Hold(context, request);
  co_return AskedStatus(request);
}

Task<absl::Status> CoroutineConformance::Chat(ServerContext& context,
                                              ServerReaderWriter<Request, Reply>& stream) {
  const HandlerEnd end(probe_);
  BeginHandler(probe_, context);
  Received received;
  Request request;
  uint32_t index = 0;
  while (co_await stream.Read(&request)) {
    if (absl::Status taken = TakeRequest(probe_, request, received); !taken.ok()) co_return taken;
    for (uint32_t size : request.reply_sizes()) {
      const Reply reply = MakeReply(request, index++, size, received);
      if (!co_await stream.Write(reply)) co_return ReaderHasGone(probe_);
      probe_.written.Add();
    }
    co_await Hold(context, request);
    if (request.has_status()) co_return AskedStatus(request);
  }
  co_return absl::OkStatus();
}

Task<absl::Status> CoroutineRelay::Unary(ServerContext&, const Request& request, Reply* reply) {
  CallOptions options;
  options.inherit = inherit_;
  absl::StatusOr<Reply> answer = co_await stub_.Async().Unary(request, options);
  if (on_end) on_end(answer.status());
  calls_ended.Add();
  if (!answer.ok()) co_return answer.status();
  *reply = *std::move(answer);
  co_return absl::OkStatus();
}

}  // namespace anywire::test
