// Methods by number, on one connection: a name is sent in full until the server is known to have
// it.
#ifndef ANYWIRE_RUNTIME_PROTOCOL_METHOD_TABLE_H_
#define ANYWIRE_RUNTIME_PROTOCOL_METHOD_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/base/attributes.h"

namespace anywire::protocol {

// The client's. Since streams may overtake each other, the server knows an id for certain only when
// something has come back on a stream whose OPEN had name and id.
class ClientMethods {
 public:
  // From the server's HELLO; until then names are sent without an id.
  void set_limit(uint64_t max_methods) { limit_ = max_methods; }

  struct Use {
    uint32_t id = 0;  // 0: the name goes without an id
    bool known = false;
  };
  // How to name the method with this MethodName::index. Gives it an id if there is one to give.
  Use Find(uint32_t index) {
    if (index < uses_.size() && uses_[index].known) return uses_[index];
    return Introduce(index);
  }

  void Learned(uint32_t index) { uses_[index].known = true; }

 private:
  ABSL_ATTRIBUTE_NOINLINE Use Introduce(uint32_t index) {
    if (index >= uses_.size()) uses_.resize(index + size_t{1});
    Use& use = uses_[index];
    if (use.id == 0 && given_ < limit_) use.id = ++given_;
    return use;
  }

  uint64_t limit_ = 0;
  uint32_t given_ = 0;
  std::vector<Use> uses_;
};

// The server's: what CallFactory answered.
class ServerMethods {
 public:
  explicit ServerMethods(size_t limit) : limit_(limit) {}
  size_t limit() const { return limit_; }

  // False: the id is above the limit, or has another method already.
  bool Learn(uint64_t id, const void* method) {
    if (id == 0 || id > limit_) return false;
    if (id >= methods_.size()) methods_.resize(id + 1);
    Entry& entry = methods_[id];
    if (entry.known && entry.method != method) return false;
    entry = {method, true};
    return true;
  }

  bool Find(uint64_t id, const void** method) const {
    if (id >= methods_.size() || !methods_[id].known) return false;
    *method = methods_[id].method;
    return true;
  }

 private:
  struct Entry {
    const void* method = nullptr;  // null: unknown to the server, and known to be
    bool known = false;
  };
  size_t limit_;
  std::vector<Entry> methods_;
};

}  // namespace anywire::protocol

#endif  // ANYWIRE_RUNTIME_PROTOCOL_METHOD_TABLE_H_
