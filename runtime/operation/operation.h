// One outstanding step of a call: a read, a write, the wait for its end.
//
// The three faces of the API (blocking, coroutine, callback) are three kinds of Operation over the
// same calls.
#ifndef ANYWIRE_RUNTIME_OPERATION_OPERATION_H_
#define ANYWIRE_RUNTIME_OPERATION_OPERATION_H_

namespace anywire {

class Operation {
 public:
  // Called once, on any thread, with no lock held; the operation may be destroyed inside. What `ok`
  // means is said where the operation is started.
  virtual void Done(bool ok) = 0;

  // Whether Done only wakes a thread. It may then be called where code of the user may not run: on
  // a thread that is inside a blocking call and holds who knows what.
  virtual bool blocking() const { return false; }

 protected:
  ~Operation() = default;
};

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_OPERATION_OPERATION_H_
