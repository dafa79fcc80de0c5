// Whole calls in each of the three forms that a client has: blocking, coroutine, callback. All
// three from a test's point of view: begin, wait, look at what came.
#ifndef ANYWIRE_TESTS_CONFORMANCE_CLIENT_FORMS_H_
#define ANYWIRE_TESTS_CONFORMANCE_CLIENT_FORMS_H_

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "anywire/call_options.h"
#include "tests/conformance/services.h"

namespace anywire::test {

enum class ClientForm { kBlocking, kCoroutine, kCallback };
inline constexpr ClientForm kClientForms[] = {ClientForm::kBlocking, ClientForm::kCoroutine,
                                              ClientForm::kCallback};
const char* ClientFormName(ClientForm form);

// How a streaming call went.
struct Conversation {
  absl::Status status;
  std::vector<Reply> replies;
  size_t writes_taken = 0;  // of the requests, before a Write said no
};

absl::StatusOr<Nothing> CallEmpty(ClientForm form, const Conformance::Stub& stub,
                                  const CallOptions& options = {});
absl::StatusOr<Reply> CallUnary(ClientForm form, const Conformance::Stub& stub,
                                const Request& request, const CallOptions& options = {});
absl::StatusOr<Reply> CallUpload(ClientForm form, const Conformance::Stub& stub,
                                 const std::vector<Request>& requests,
                                 const CallOptions& options = {});
Conversation CallDownload(ClientForm form, const Conformance::Stub& stub, const Request& request,
                          const CallOptions& options = {});
// After each write it reads as many replies as the request asks for.
Conversation CallPingPong(ClientForm form, const Conformance::Stub& stub,
                          const std::vector<Request>& requests, const CallOptions& options = {});

}  // namespace anywire::test

#endif  // ANYWIRE_TESTS_CONFORMANCE_CLIENT_FORMS_H_
