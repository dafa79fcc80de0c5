// The client's ends of streaming calls, blocking form. (Coroutines and callbacks: async_streams.h.)
//
// Movable handles; one thread reads while another writes, otherwise one thread at a time.
// Destroying one whose call has not ended cancels the call.
#ifndef ANYWIRE_RUNTIME_CLIENT_STREAMS_H_
#define ANYWIRE_RUNTIME_CLIENT_STREAMS_H_

#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "anywire/client_stream.h"

namespace anywire {

// A server-streaming call: many replies to one request.
template <typename Reply>
class ClientReader {
 public:
  explicit ClientReader(std::unique_ptr<ClientStream> stream) : stream_(std::move(stream)) {}

  // Waits for the next message. False: there are no more; Finish tells why.
  bool Read(Reply* reply) {
    return stream_->Await([this, reply](Operation& done) { stream_->Read(reply, done); });
  }
  // Waits for the end and returns the call's status; the same when it is called again. Messages not
  // read by now are dropped.
  absl::Status Finish() {
    stream_->Await([this](Operation& done) { stream_->Finish(done); });
    return stream_->status();
  }
  // The server's initial metadata, after the first Read; its trailing metadata, after Finish.
  const Metadata& initial_metadata() const { return stream_->initial_metadata(); }
  const Metadata& trailing_metadata() const { return stream_->trailing_metadata(); }
  // Any thread: ends the call as CANCELLED.
  void Cancel() { stream_->Cancel(); }

 private:
  std::unique_ptr<ClientStream> stream_;
};

// A client-streaming call: one reply to many requests.
template <typename Request, typename Reply>
class ClientWriter {
 public:
  explicit ClientWriter(std::unique_ptr<ClientStream> stream) : stream_(std::move(stream)) {}

  // Waits until the call takes another message. False: the call is over; Finish tells why.
  bool Write(const Request& request) {
    return stream_->Await([this, &request](Operation& done) { stream_->Write(request, done); });
  }
  // Says that no more requests follow and waits for the reply. Called once, at last: a reply is
  // handed out once.
  absl::StatusOr<Reply> Finish() {
    stream_->WritesDone();
    Reply reply;
    const bool replied =
        stream_->Await([this, &reply](Operation& done) { stream_->Read(&reply, done); });
    stream_->Await([this](Operation& done) { stream_->Finish(done); });
    absl::Status status = stream_->status();
    if (!status.ok()) return status;
    if (!replied) return absl::InternalError("the server ended the call as OK without a reply");
    return reply;
  }
  const Metadata& initial_metadata() const { return stream_->initial_metadata(); }
  const Metadata& trailing_metadata() const { return stream_->trailing_metadata(); }
  void Cancel() { stream_->Cancel(); }

 private:
  std::unique_ptr<ClientStream> stream_;
};

// Messages both ways.
template <typename Request, typename Reply>
class ClientReaderWriter {
 public:
  explicit ClientReaderWriter(std::unique_ptr<ClientStream> stream) : stream_(std::move(stream)) {}

  bool Read(Reply* reply) {
    return stream_->Await([this, reply](Operation& done) { stream_->Read(reply, done); });
  }
  bool Write(const Request& request) {
    return stream_->Await([this, &request](Operation& done) { stream_->Write(request, done); });
  }
  // No more requests follow. The server may go on writing.
  void WritesDone() { stream_->WritesDone(); }
  absl::Status Finish() {
    stream_->Await([this](Operation& done) { stream_->Finish(done); });
    return stream_->status();
  }
  const Metadata& initial_metadata() const { return stream_->initial_metadata(); }
  const Metadata& trailing_metadata() const { return stream_->trailing_metadata(); }
  void Cancel() { stream_->Cancel(); }

 private:
  std::unique_ptr<ClientStream> stream_;
};

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_CLIENT_STREAMS_H_
