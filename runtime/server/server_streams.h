// The server's ends of streaming calls, for coroutine handlers (`co_await reader.Read(&message)`)
// and, as Blocking..., for handlers on worker threads. They live as long as their handler.
//
// One thread reads while another writes, otherwise one thread at a time.
//
//   while (co_await reader.Read(&message)) ...
//   if (context.cancelled()) co_return absl::CancelledError();  // not all of them: drop the upload
//
// A handler returns when its steps have ended. One that is outstanding then ends with false, before
// the client sees the end; nothing may use the stream any more.
#ifndef ANYWIRE_RUNTIME_SERVER_SERVER_STREAMS_H_
#define ANYWIRE_RUNTIME_SERVER_SERVER_STREAMS_H_

#include "absl/functional/function_ref.h"
#include "anywire/awaitable.h"
#include "anywire/operation.h"
#include "google/protobuf/message_lite.h"

namespace anywire {

// A call in progress on the server, with messages of no particular type.
class ServerStream {
 public:
  virtual ~ServerStream() = default;
  // ok: `message` holds the next message. Not ok: the client sends no more, or the call is over, or
  // the message could not be parsed (the call is over then): ServerContext::cancelled() is true in
  // all cases but the first. May complete inside.
  virtual void Read(google::protobuf::MessageLite* message, Operation& done) = 0;
  // ok: the call takes another message (this one is serialised before Write returns). Not ok: the
  // call is over.
  virtual void Write(const google::protobuf::MessageLite& message, Operation& done) = 0;
  // Runs `start` with an operation and waits on the calling (worker) thread for it; its ok.
  virtual bool Await(absl::FunctionRef<void(Operation&)> start) = 0;
};

template <typename Request>
class ServerReader {
 public:
  explicit ServerReader(ServerStream& stream) : stream_(stream) {}
  // Yields whether a message was read. If not: see ServerContext::cancelled.
  [[nodiscard]] auto Read(Request* request) {
    return internal::AwaitStep([this, request](Operation& done) { stream_.Read(request, done); },
                               [](bool ok) { return ok; });
  }

 protected:
  ServerStream& stream_;
};

template <typename Reply>
class ServerWriter {
 public:
  explicit ServerWriter(ServerStream& stream) : stream_(stream) {}
  // Yields whether the call takes more messages. Waits while the client reads too slowly.
  [[nodiscard]] auto Write(const Reply& reply) {
    return internal::AwaitStep([this, &reply](Operation& done) { stream_.Write(reply, done); },
                               [](bool ok) { return ok; });
  }

 protected:
  ServerStream& stream_;
};

template <typename Request, typename Reply>
class ServerReaderWriter : public ServerReader<Request>, public ServerWriter<Reply> {
 public:
  explicit ServerReaderWriter(ServerStream& stream)
      : ServerReader<Request>(stream), ServerWriter<Reply>(stream) {}
};

template <typename Request>
class BlockingServerReader {
 public:
  explicit BlockingServerReader(ServerStream& stream) : stream_(stream) {}
  // Whether a message was read. If not: see ServerContext::cancelled.
  bool Read(Request* request) {
    return stream_.Await([this, request](Operation& done) { stream_.Read(request, done); });
  }

 private:
  ServerStream& stream_;
};

template <typename Reply>
class BlockingServerWriter {
 public:
  explicit BlockingServerWriter(ServerStream& stream) : stream_(stream) {}
  bool Write(const Reply& reply) {
    return stream_.Await([this, &reply](Operation& done) { stream_.Write(reply, done); });
  }

 private:
  ServerStream& stream_;
};

template <typename Request, typename Reply>
class BlockingServerReaderWriter : public BlockingServerReader<Request>,
                                   public BlockingServerWriter<Reply> {
 public:
  explicit BlockingServerReaderWriter(ServerStream& stream)
      : BlockingServerReader<Request>(stream), BlockingServerWriter<Reply>(stream) {}
};

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_SERVER_SERVER_STREAMS_H_
