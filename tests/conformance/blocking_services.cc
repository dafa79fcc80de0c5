#include "tests/conformance/handler_parts.h"
#include "tests/conformance/services.h"

namespace anywire::test {

void BlockingConformance::Hold(ServerContext& context, const Request& request) {
  switch (request.hold()) {
    case Request::CANCELLATION:
      WaitUntilCancelled(context.cancellation());
      probe_.cancelled.Add();
      break;
    case Request::RELEASE:
      probe_.release.Wait();
      break;
    default:
      break;
  }
}

absl::Status BlockingConformance::Empty(ServerContext& context, const Nothing&, Nothing*) {
  const HandlerEnd end(probe_);
  BeginHandler(probe_, context);
  return absl::OkStatus();
}

absl::Status BlockingConformance::Unary(ServerContext& context, const Request& request,
                                        Reply* reply) {
  const HandlerEnd end(probe_);
  BeginHandler(probe_, context);
  Received received;
  if (absl::Status taken = TakeRequest(probe_, request, received); !taken.ok()) return taken;
  Hold(context, request);
  *reply = MakeReply(request, 0, ReplySize(request), received);
  return AskedStatus(request);
}

absl::Status BlockingConformance::Upload(ServerContext& context,
                                         BlockingServerReader<Request>& reader, Reply* reply) {
  const HandlerEnd end(probe_);
  BeginHandler(probe_, context);
  Received received;
  Request request;
  Request last;
  while (reader.Read(&request)) {
    if (absl::Status taken = TakeRequest(probe_, request, received); !taken.ok()) return taken;
    Hold(context, request);
    if (request.has_status()) return AskedStatus(request);
    last.Swap(&request);
  }
  *reply = MakeReply(last, 0, ReplySize(last), received);
  return absl::OkStatus();
}

absl::Status BlockingConformance::Download(ServerContext& context, const Request& request,
                                           BlockingServerWriter<Reply>& writer) {
  const HandlerEnd end(probe_);
  BeginHandler(probe_, context);
  Received received;
  if (absl::Status taken = TakeRequest(probe_, request, received); !taken.ok()) return taken;
  for (int i = 0; i < request.reply_sizes_size(); ++i) {
    if (!writer.Write(MakeReply(request, i, request.reply_sizes(i), received))) {
      return ReaderHasGone(probe_);
    }
    probe_.written.Add();
  }
  Hold(context, request);
  return AskedStatus(request);
}

absl::Status BlockingConformance::Chat(ServerContext& context,
                                       BlockingServerReaderWriter<Request, Reply>& stream) {
  const HandlerEnd end(probe_);
  BeginHandler(probe_, context);
  Received received;
  Request request;
  uint32_t index = 0;
  while (stream.Read(&request)) {
    if (absl::Status taken = TakeRequest(probe_, request, received); !taken.ok()) return taken;
    for (uint32_t size : request.reply_sizes()) {
      if (!stream.Write(MakeReply(request, index++, size, received))) {
        return ReaderHasGone(probe_);
      }
      probe_.written.Add();
    }
    Hold(context, request);
    if (request.has_status()) return AskedStatus(request);
  }
  return absl::OkStatus();
}

absl::Status BlockingRelay::Unary(ServerContext&, const Request& request, Reply* reply) {
  CallOptions options;
  options.inherit = inherit_;
  absl::StatusOr<Reply> answer = stub_.Unary(request, options);
  if (on_end) on_end(answer.status());
  calls_ended.Add();
  if (!answer.ok()) return answer.status();
  *reply = *std::move(answer);
  return absl::OkStatus();
}

}  // namespace anywire::test
