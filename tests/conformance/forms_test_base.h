// For tests of what must hold in every form of client and server.
#ifndef ANYWIRE_TESTS_CONFORMANCE_FORMS_TEST_BASE_H_
#define ANYWIRE_TESTS_CONFORMANCE_FORMS_TEST_BASE_H_

#include <utility>

#include "absl/functional/function_ref.h"
#include "gtest/gtest.h"
#include "tests/conformance/client_forms.h"
#include "tests/conformance/world.h"
#include "tests/support/status_matchers.h"

namespace anywire::test {

class FormsTest : public SettingTest {
 protected:
  using Body = absl::FunctionRef<void(ClientForm form, const Conformance::Stub& stub)>;

  // A world for each form of server, in it `body` for each form of client.
  void ForEachForm(Body body, WorldOptions options = {}) {
    for (ServerForm server_form : kServerForms) {
      options.form = server_form;
      NewWorld(options);
      SCOPED_TRACE(ServerFormName(server_form));
      ForEachClientForm(body);
    }
  }
  void ForEachClientForm(Body body) {
    const Conformance::Stub stub(world().channel());
    for (ClientForm client_form : kClientForms) {
      SCOPED_TRACE(ClientFormName(client_form));
      body(client_form, stub);
    }
  }
  // The channel still takes calls, and they are answered.
  void ExpectAlive() {
    const Conformance::Stub stub(world().channel());
    const Request request = MakeRequest(kAliveCall, 10, {20});
    const absl::StatusOr<Reply> reply = stub.Unary(request);
    ASSERT_OK(reply);
    EXPECT_OK(CheckReply(request, *reply, 0, 20));
  }
  // The same after connections were cut: a call may still meet one that is dead and does not know.
  void ExpectAliveAgain() {
    const Conformance::Stub stub(world().channel());
    absl::Status status = absl::UnavailableError("not tried");
    while (status.code() == absl::StatusCode::kUnavailable) {
      status = stub.Unary(MakeRequest(kAliveCall, 10, {20})).status();
    }
    EXPECT_OK(status);
  }
};

}  // namespace anywire::test

#endif  // ANYWIRE_TESTS_CONFORMANCE_FORMS_TEST_BASE_H_
