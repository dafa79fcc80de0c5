#include "tests/conformance/client_forms.h"

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "anywire/task.h"
#include "tests/support/gate.h"

namespace anywire::test {
namespace {

// ---- blocking

absl::StatusOr<Reply> BlockingUpload(const Conformance::Stub& stub,
                                     const std::vector<Request>& requests,
                                     const CallOptions& options) {
  auto writer = stub.Upload(options);
  for (const Request& request : requests) {
    if (!writer.Write(request)) break;
  }
  return writer.Finish();
}

Conversation BlockingDownload(const Conformance::Stub& stub, const Request& request,
                              const CallOptions& options) {
  Conversation conversation;
  auto reader = stub.Download(request, options);
  Reply reply;
  while (reader.Read(&reply)) conversation.replies.push_back(reply);
  conversation.status = reader.Finish();
  return conversation;
}

Conversation BlockingPingPong(const Conformance::Stub& stub, const std::vector<Request>& requests,
                              const CallOptions& options) {
  Conversation conversation;
  auto stream = stub.Chat(options);
  Reply reply;
  for (const Request& request : requests) {
    if (!stream.Write(request)) break;
    ++conversation.writes_taken;
    for (int i = 0; i < request.reply_sizes_size() && stream.Read(&reply); ++i) {
      conversation.replies.push_back(reply);
    }
  }
  stream.WritesDone();
  while (stream.Read(&reply)) conversation.replies.push_back(reply);
  conversation.status = stream.Finish();
  return conversation;
}

// ---- coroutines

// Runs a coroutine to its end and gives its result.
template <typename Result>
Result RunCoroutine(Task<Result> task) {
  std::optional<Result> result;
  Gate ended;
  Spawn([](Task<Result> task, std::optional<Result>& result, Gate& ended) -> Task<void> {
    result.emplace(co_await std::move(task));
    ended.Open();
  }(std::move(task), result, ended));
  ended.Wait();
  return *std::move(result);
}

Task<absl::StatusOr<Nothing>> CoEmpty(const Conformance::Stub& stub, const CallOptions& options) {
  const Nothing request;
  co_return co_await stub.Async().Empty(request, options);
}

Task<absl::StatusOr<Reply>> CoUnary(const Conformance::Stub& stub, const Request& request,
                                    const CallOptions& options) {
  co_return co_await stub.Async().Unary(request, options);
}

Task<absl::StatusOr<Reply>> CoUpload(const Conformance::Stub& stub,
                                     const std::vector<Request>& requests,
                                     const CallOptions& options) {
  auto writer = stub.Async().Upload(options);
  for (const Request& request : requests) {
    if (!co_await writer.Write(request)) break;
  }
  co_return co_await writer.Finish();
}

Task<Conversation> CoDownload(const Conformance::Stub& stub, const Request& request,
                              const CallOptions& options) {
  Conversation conversation;
  auto reader = stub.Async().Download(request, options);
  Reply reply;
  while (co_await reader.Read(&reply)) conversation.replies.push_back(reply);
  conversation.status = co_await reader.Finish();
  co_return conversation;
}

Task<Conversation> CoPingPong(const Conformance::Stub& stub, const std::vector<Request>& requests,
                              const CallOptions& options) {
  Conversation conversation;
  auto stream = stub.Async().Chat(options);
  Reply reply;
  for (const Request& request : requests) {
    if (!co_await stream.Write(request)) break;
    ++conversation.writes_taken;
    for (int i = 0; i < request.reply_sizes_size(); ++i) {
      if (!co_await stream.Read(&reply)) break;
      conversation.replies.push_back(reply);
    }
  }
  stream.WritesDone();
  while (co_await stream.Read(&reply)) conversation.replies.push_back(reply);
  conversation.status = co_await stream.Finish();
  co_return conversation;
}

// ---- callbacks

// The result that a callback brings.
template <typename Result>
class Awaited {
 public:
  void Set(Result result) {
    result_.emplace(std::move(result));
    come_.Open();
  }
  Result Take() {
    come_.Wait();
    return *std::move(result_);
  }

 private:
  std::optional<Result> result_;
  Gate come_;
};

absl::StatusOr<Reply> CallbackUpload(const Conformance::Stub& stub,
                                     const std::vector<Request>& requests,
                                     const CallOptions& options) {
  auto writer = stub.Async().Upload(options);
  Awaited<absl::StatusOr<Reply>> result;
  size_t next = 0;
  std::function<void(bool)> step = [&writer, &requests, &result, &next, &step](bool ok) {
    if (ok && next < requests.size()) {
      writer.Write(requests[next++], [&step](bool taken) { step(taken); });
    } else {
      writer.Finish([&result](absl::StatusOr<Reply> reply) { result.Set(std::move(reply)); });
    }
  };
  step(true);
  return result.Take();
}

Conversation CallbackDownload(const Conformance::Stub& stub, const Request& request,
                              const CallOptions& options) {
  auto reader = stub.Async().Download(request, options);
  Conversation conversation;
  Awaited<absl::Status> result;
  Reply reply;
  std::function<void(bool)> on_read = [&reader, &conversation, &result, &reply, &on_read](bool ok) {
    if (!ok) {
      reader.Finish([&result](absl::Status status) { result.Set(std::move(status)); });
      return;
    }
    conversation.replies.push_back(reply);
    reader.Read(&reply, [&on_read](bool ok) { on_read(ok); });
  };
  reader.Read(&reply, [&on_read](bool ok) { on_read(ok); });
  conversation.status = result.Take();
  return conversation;
}

// A bidirectional call as a chain of callbacks.
class CallbackPingPong {
 public:
  CallbackPingPong(const Conformance::Stub& stub, const std::vector<Request>& requests,
                   const CallOptions& options)
      : requests_(requests), stream_(stub.Async().Chat(options)) {}

  Conversation Run() {
    WriteNext();
    conversation_.status = status_.Take();
    return std::move(conversation_);
  }

 private:
  void WriteNext() {
    if (next_ == requests_.size()) {
      stream_.WritesDone();
      Read();
      return;
    }
    stream_.Write(requests_[next_++], [this](bool ok) {
      if (!ok) next_ = requests_.size();
      conversation_.writes_taken += ok ? 1 : 0;
      replies_due_ = ok ? requests_[next_ - 1].reply_sizes_size() : 0;
      ReadOrWrite();
    });
  }
  void ReadOrWrite() {
    if (replies_due_ > 0) {
      Read();
    } else {
      WriteNext();
    }
  }
  void Read() {
    stream_.Read(&reply_, [this](bool ok) {
      if (!ok) {
        stream_.Finish([this](absl::Status status) { status_.Set(std::move(status)); });
        return;
      }
      conversation_.replies.push_back(reply_);
      if (replies_due_ == 0) {
        Read();  // after WritesDone
      } else {
        --replies_due_;
        ReadOrWrite();
      }
    });
  }

  const std::vector<Request>& requests_;
  AsyncClientReaderWriter<Request, Reply> stream_;
  Conversation conversation_;
  Awaited<absl::Status> status_;
  Reply reply_;
  size_t next_ = 0;
  int replies_due_ = 0;
};

}  // namespace

const char* ClientFormName(ClientForm form) {
  switch (form) {
    case ClientForm::kBlocking:
      return "blocking client";
    case ClientForm::kCoroutine:
      return "coroutine client";
    case ClientForm::kCallback:
      return "callback client";
  }
  return "";
}

absl::StatusOr<Nothing> CallEmpty(ClientForm form, const Conformance::Stub& stub,
                                  const CallOptions& options) {
  if (form == ClientForm::kBlocking) return stub.Empty(Nothing(), options);
  if (form == ClientForm::kCoroutine) return RunCoroutine(CoEmpty(stub, options));
  Awaited<absl::StatusOr<Nothing>> result;
  stub.Async().Empty(
      Nothing(), [&result](absl::StatusOr<Nothing> reply) { result.Set(std::move(reply)); },
      options);
  return result.Take();
}

absl::StatusOr<Reply> CallUnary(ClientForm form, const Conformance::Stub& stub,
                                const Request& request, const CallOptions& options) {
  if (form == ClientForm::kBlocking) return stub.Unary(request, options);
  if (form == ClientForm::kCoroutine) return RunCoroutine(CoUnary(stub, request, options));
  Awaited<absl::StatusOr<Reply>> result;
  stub.Async().Unary(
      request, [&result](absl::StatusOr<Reply> reply) { result.Set(std::move(reply)); }, options);
  return result.Take();
}

absl::StatusOr<Reply> CallUpload(ClientForm form, const Conformance::Stub& stub,
                                 const std::vector<Request>& requests, const CallOptions& options) {
  if (form == ClientForm::kBlocking) return BlockingUpload(stub, requests, options);
  if (form == ClientForm::kCoroutine) return RunCoroutine(CoUpload(stub, requests, options));
  return CallbackUpload(stub, requests, options);
}

Conversation CallDownload(ClientForm form, const Conformance::Stub& stub, const Request& request,
                          const CallOptions& options) {
  if (form == ClientForm::kBlocking) return BlockingDownload(stub, request, options);
  if (form == ClientForm::kCoroutine) return RunCoroutine(CoDownload(stub, request, options));
  return CallbackDownload(stub, request, options);
}

Conversation CallPingPong(ClientForm form, const Conformance::Stub& stub,
                          const std::vector<Request>& requests, const CallOptions& options) {
  if (form == ClientForm::kBlocking) return BlockingPingPong(stub, requests, options);
  if (form == ClientForm::kCoroutine) return RunCoroutine(CoPingPong(stub, requests, options));
  return CallbackPingPong(stub, requests, options).Run();
}

}  // namespace anywire::test
