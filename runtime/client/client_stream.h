// A call in progress on the client, with messages of no particular type: what the typed readers and writers are made of.
//
// An interface, so that tests can put something else behind a stub's streams (anywire/testing.h).
#ifndef ANYWIRE_RUNTIME_CLIENT_CLIENT_STREAM_H_
#define ANYWIRE_RUNTIME_CLIENT_CLIENT_STREAM_H_

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "anywire/metadata.h"
#include "anywire/operation.h"
#include "google/protobuf/message_lite.h"

namespace anywire {

// One read, one write and one Finish may be outstanding at the same time, each started by any thread. An operation
// may complete inside the function that starts it. Destroying a stream whose
// call has not ended cancels the call; no operation may be outstanding then.
class ClientStream {
 public:
  virtual ~ClientStream() = default;

  // ok: `message` holds the next message. Not ok: there are no more; Finish tells why. `message` belongs to the stream
  // until done.
  virtual void Read(google::protobuf::MessageLite* message, Operation& done) = 0;
  // ok: the stream takes another message (this one is serialised before Write returns). Not ok: the call takes none any
  // more; Finish tells why. `last` ends this side, as WritesDone does.
  virtual void Write(const google::protobuf::MessageLite& message, bool last, Operation& done) = 0;
  // This side sends no more messages. Not while a write is outstanding.
  virtual void WritesDone() = 0;
  // ok always: the call has ended, unread messages were dropped, and status() is its status. A server's stream should be
  // read to its end first, else Finish waits for a server that waits for its reader: it therefore discards what comes.
  virtual void Finish(Operation& done) = 0;
  // After Finish is done. Called once.
  virtual absl::Status TakeStatus() = 0;
  // The server's initial metadata; empty until the first message or the end has come.
  virtual const Metadata& initial_metadata() const = 0;
  // After Finish is done.
  virtual const Metadata& trailing_metadata() const = 0;
  // Ends the call as CANCELLED, if it has not ended yet.
  virtual void Cancel() = 0;

  // Runs `start` (which starts an operation with the Operation it is given) and waits on the calling thread for that
  // operation; its ok. Not on a thread of the runtime's own: see Channel.
  virtual bool Await(absl::FunctionRef<void(Operation&)> start) = 0;
};

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_CLIENT_CLIENT_STREAM_H_
