// A network of a process's own: no interfaces but a loopback, all ports free.
#ifndef ANYWIRE_TESTS_SUPPORT_NETWORK_NAMESPACE_H_
#define ANYWIRE_TESTS_SUPPORT_NETWORK_NAMESPACE_H_

#include <sys/types.h>

#include "absl/status/status.h"

namespace anywire::test {

// Moves the calling thread, and those that it starts from then on, into a new network namespace; a
// process without the right to do so into a user namespace, too, in which it has it and is the same
// user, and which only a process with one thread can enter. What it had open stays what it was.
// FAILED_PRECONDITION, in a line, where the system does not let it.
absl::Status EnterNewNetworkNamespace();

// Moves the calling process, which has one thread, into those namespaces of another.
absl::Status EnterNetworkNamespaceOf(pid_t pid);

}  // namespace anywire::test

#endif  // ANYWIRE_TESTS_SUPPORT_NETWORK_NAMESPACE_H_
