#include "anywire/wait.h"

#include "runtime/endpoint/endpoint.h"

namespace anywire::internal {

bool MayWaitHere() { return !Endpoint::OnRuntimeThread(); }

}  // namespace anywire::internal
