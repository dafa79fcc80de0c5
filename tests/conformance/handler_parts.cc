#include "tests/conformance/handler_parts.h"

#include <map>
#include <stdexcept>
#include <string>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/support/body.h"

namespace anywire::test {

void Probe::OnStart(std::function<void(ServerContext&)> function) {
  auto shared = std::make_shared<const std::function<void(ServerContext&)>>(std::move(function));
  absl::MutexLock lock(&mutex_);
  on_start_ = std::move(shared);
}

void Probe::TellChecker(CallChecker* checker) {
  absl::MutexLock lock(&mutex_);
  checker_ = checker;
}

void Probe::Starting(ServerContext& context) {
  std::shared_ptr<const std::function<void(ServerContext&)>> on_start;
  {
    absl::MutexLock lock(&mutex_);
    on_start = on_start_;
  }
  if (on_start != nullptr) (*on_start)(context);
  started.Add();
}

void Probe::Handling(uint64_t call) {
  if (call == kAliveCall) return;
  CallChecker* checker;
  {
    absl::MutexLock lock(&mutex_);
    checker = checker_;
  }
  if (checker != nullptr) checker->OnHandler(call);
}

void BeginHandler(Probe& probe, ServerContext& context) {
  for (const auto& [key, value] : context.client_metadata()) {
    if (absl::StartsWith(key, "echo-initial")) context.AddInitialMetadata(key, value);
    if (absl::StartsWith(key, "echo-trailing")) context.AddTrailingMetadata(key, value);
  }
  probe.Starting(context);
}

absl::Status TakeRequest(Probe& probe, const Request& request, Received& received) {
  if (received.requests == 0) probe.Handling(request.call());
  if (request.index() != received.requests) {
    return absl::DataLossError(
        absl::StrCat("request ", request.index(), " in the place of ", received.requests));
  }
  received.body_bytes += request.body().size();
  ++received.requests;
  probe.received.Add();
  if (request.throw_exception()) throw std::runtime_error("as the test asked for");
  return CheckBody({request.call(), Direction::kRequest, request.index()}, request.body());
}

Reply MakeReply(const Request& request, uint32_t index, size_t size, const Received& received) {
  Reply reply;
  reply.set_call(request.call());
  reply.set_index(index);
  reply.set_body(MakeBody({request.call(), Direction::kReply, index}, size));
  reply.set_body_bytes_received(received.body_bytes);
  reply.set_requests_received(received.requests);
  return reply;
}

size_t ReplySize(const Request& request) {
  return request.reply_sizes().empty() ? 0 : request.reply_sizes(0);
}

absl::Status ReaderHasGone(Probe& probe) {
  probe.cancelled.Add();
  return absl::CancelledError("the reader has gone");
}

absl::Status AskedStatus(const Request& request) {
  absl::Status status(static_cast<absl::StatusCode>(request.status().code()),
                      request.status().message());
  for (const auto& [url, detail] : request.status().details()) {
    status.SetPayload(url, absl::Cord(detail));
  }
  return status;
}

Request MakeRequest(uint64_t call, size_t body_size, std::vector<uint32_t> reply_sizes,
                    uint32_t index) {
  Request request;
  request.set_call(call);
  request.set_index(index);
  request.set_body(MakeBody({call, Direction::kRequest, index}, body_size));
  for (uint32_t size : reply_sizes) request.add_reply_sizes(size);
  return request;
}

absl::Status CheckReply(const Request& request, const Reply& reply, uint32_t index, size_t size) {
  if (reply.call() != request.call() || reply.index() != index || reply.body().size() != size) {
    return absl::DataLossError(absl::StrCat(
        "reply ", reply.index(), " of call ", reply.call(), " with ", reply.body().size(),
        " bytes in the place of reply ", index, " of call ", request.call(), " with ", size));
  }
  return CheckBody({reply.call(), Direction::kReply, index}, reply.body());
}

void PadTo(Request& request, size_t size) {
  const size_t call = request.call();
  size_t body = 0;
  // The length before the body grows by a byte at 128, 16,384 and so on: approach from below.
  for (int round = 0; round < 3; ++round) {
    request.set_body(std::string(body, '\0'));
    body += size - request.ByteSizeLong();
  }
  request.set_body(MakeBody({call, Direction::kRequest, request.index()}, body));
}

}  // namespace anywire::test
