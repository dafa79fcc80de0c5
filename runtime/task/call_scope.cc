#include "anywire/call_scope.h"

namespace anywire::internal {

thread_local constinit const CallScope* current_call_scope = nullptr;

}  // namespace anywire::internal
