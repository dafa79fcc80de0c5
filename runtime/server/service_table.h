// The methods of a server by their full names.
#ifndef ANYWIRE_RUNTIME_SERVER_SERVICE_TABLE_H_
#define ANYWIRE_RUNTIME_SERVER_SERVICE_TABLE_H_

#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "runtime/server/method_handler.h"

namespace anywire {

class Service;

// Filled before a server starts, then only read, by any threads.
class ServiceTable {
 public:
  // ALREADY_EXISTS for a second service of one name.
  absl::Status Add(Service& service);
  // Null when there is none.
  internal::MethodHandler* Find(absl::string_view full_name) const {
    const auto found = handlers_.find(full_name);
    return found != handlers_.end() ? found->second.get() : nullptr;
  }
  bool empty() const { return services_.empty(); }

 private:
  absl::flat_hash_set<std::string> services_;
  absl::flat_hash_map<std::string, std::unique_ptr<internal::MethodHandler>> handlers_;
};

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_SERVER_SERVICE_TABLE_H_
