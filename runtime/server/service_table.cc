#include "runtime/server/service_table.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "anywire/service.h"

namespace anywire {

absl::Status ServiceTable::Add(Service& service) {
  const absl::string_view name = service.service_name();
  if (!services_.emplace(name).second) {
    return absl::AlreadyExistsError(absl::StrCat("the server has two services named ", name));
  }
  MethodBinder binder;
  service.Bind(binder);
  for (std::unique_ptr<internal::MethodHandler>& handler : binder.TakeHandlers()) {
    const absl::string_view method = handler->method().full_name();
    if (!handlers_.try_emplace(method, std::move(handler)).second) {
      return absl::AlreadyExistsError(absl::StrCat("the server has two methods named ", method));
    }
  }
  return absl::OkStatus();
}

}  // namespace anywire
