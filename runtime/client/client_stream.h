// A call in progress on the client, with messages of no particular type: what the typed readers and
// writers are made of.
//
// An interface, so that something else can be put behind a stub's streams.
#ifndef ANYWIRE_RUNTIME_CLIENT_CLIENT_STREAM_H_
#define ANYWIRE_RUNTIME_CLIENT_CLIENT_STREAM_H_

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "anywire/metadata.h"
#include "anywire/operation.h"
#include "google/protobuf/message_lite.h"

namespace anywire {

// One read, one write and one Finish may be outstanding at the same time, each started by any
// thread. An operation may complete inside the function that starts it. Destroying a stream whose
// call has not ended cancels the call; no operation may be outstanding then.
class ClientStream {
 public:
  virtual ~ClientStream() = default;

  // ok: `message` holds the next message. Not ok: there are no more; Finish tells why. `message`
  // belongs to the stream until done.
  virtual void Read(google::protobuf::MessageLite* message, Operation& done) = 0;
  // ok: the stream takes another message (this one is serialised before Write returns). Not ok: the
  // call takes none any more; Finish tells why. A message that may not be sent (larger than
  // limits.max_send_message_size, or without its required fields) ends the call, as
  // RESOURCE_EXHAUSTED or INVALID_ARGUMENT.
  virtual void Write(const google::protobuf::MessageLite& message, Operation& done) = 0;
  // This side sends no messages after those written so far, a write that is outstanding among them.
  virtual void WritesDone() = 0;
  // ok always: the call has ended, unread messages were dropped, and status() is its status. A
  // server's stream should be read to its end first, else Finish waits for a server that waits for
  // its reader: it therefore discards what comes.
  virtual void Finish(Operation& done) = 0;
  // After Finish is done; the same each time.
  virtual absl::Status status() = 0;
  // The server's initial metadata: that which has come when a Read or Finish completes. Empty
  // before. The reference is good as long as the stream, and what it refers to does not change.
  virtual const Metadata& initial_metadata() const = 0;
  // The same of the server's trailing metadata, which is there when Finish is done.
  virtual const Metadata& trailing_metadata() const = 0;
  // Ends the call as CANCELLED, if it has not ended yet.
  virtual void Cancel() = 0;

  // Runs `start` (which starts an operation with the Operation it is given) and waits on the
  // calling thread for that operation; its ok. Not on a thread of the runtime's own: see Channel.
  virtual bool Await(absl::FunctionRef<void(Operation&)> start) = 0;
};

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_CLIENT_CLIENT_STREAM_H_
