#include "anywire/wait.h"

#include <stdexcept>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "anywire/event_loop.h"
#include "anywire/task.h"
#include "gtest/gtest.h"

namespace anywire {
namespace {

template <typename T>
Task<T> Yield(T value) {
  co_return value;
}

// On a thread of the runtime's own.
class WaitRefusedTest : public ::testing::Test {
 protected:
  void OnLoop(absl::AnyInvocable<void()> function) { loop_.RunAndWait(std::move(function)); }

 private:
  EventLoop loop_{"test"};
};

TEST(WaitTest, YieldsOnAThreadOfTheUsers) {
  EXPECT_EQ(Wait(Yield(7)), 7);
  EXPECT_EQ(Wait(Yield<absl::StatusOr<int>>(7)).value(), 7);
  EXPECT_EQ(Wait(Yield(absl::AbortedError("no"))), absl::AbortedError("no"));
}

TEST_F(WaitRefusedTest, AsAStatusWhereTheResultCanBeOne) {
  OnLoop([] {
    bool ran = false;
    auto coroutine = [](bool* ran) -> Task<absl::StatusOr<int>> {
      *ran = true;
      co_return 7;
    };
    const absl::Status status = Wait(coroutine(&ran)).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_NE(status.message().find("co_await"), absl::string_view::npos) << status;
    EXPECT_FALSE(ran);
    EXPECT_EQ(Wait(Yield(absl::OkStatus())).code(), absl::StatusCode::kFailedPrecondition);
  });
}

TEST_F(WaitRefusedTest, AsAnExceptionElsewhere) {
  OnLoop([] {
    EXPECT_THROW(Wait(Yield(7)), std::logic_error);
    auto coroutine = []() -> Task<void> { co_return; };
    EXPECT_THROW(Wait(coroutine()), std::logic_error);
  });
}

}  // namespace
}  // namespace anywire
