#include "tests/support/short_io.h"

#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <string>

#include "gtest/gtest.h"

namespace anywire::test {
namespace {

class ShortIoTest : public ::testing::Test {
 protected:
  ShortIoTest() { EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends_), 0); }
  ~ShortIoTest() override {
    close(ends_[0]);
    close(ends_[1]);
  }
  int ends_[2];
};

TEST_F(ShortIoTest, CutsEveryWayToSend) {
  const uint64_t before = ShortIo::shortened();
  std::string text = "text";
  iovec buffers[] = {{text.data(), 0}, {text.data(), text.size()}, {text.data(), text.size()}};
  msghdr message = {};
  message.msg_iov = buffers;
  message.msg_iovlen = 3;
  const ShortIo short_io(1);
  EXPECT_EQ(write(ends_[0], text.data(), text.size()), 1);
  EXPECT_EQ(send(ends_[0], text.data(), text.size(), 0), 1);
  EXPECT_EQ(writev(ends_[0], buffers, 3), 1);
  EXPECT_EQ(sendmsg(ends_[0], &message, 0), 1);
  EXPECT_EQ(syscall(SYS_sendto, ends_[0], text.data(), text.size(), 0, nullptr, 0), 1);
  EXPECT_EQ(ShortIo::shortened() - before, 5u);
}

TEST_F(ShortIoTest, CutsEveryWayToReceive) {
  ASSERT_EQ(write(ends_[0], "0123456789", 10), 10);
  char bytes[10] = {};
  iovec buffer = {bytes, sizeof(bytes)};
  msghdr message = {};
  message.msg_iov = &buffer;
  message.msg_iovlen = 1;
  const ShortIo short_io(2);
  EXPECT_EQ(read(ends_[1], bytes, sizeof(bytes)), 2);
  EXPECT_EQ(recv(ends_[1], bytes, sizeof(bytes), 0), 2);
  EXPECT_EQ(readv(ends_[1], &buffer, 1), 2);
  EXPECT_EQ(recvmsg(ends_[1], &message, 0), 2);
  EXPECT_EQ(std::string(bytes, 2), "67");
  EXPECT_EQ(syscall(SYS_recvfrom, ends_[1], bytes, sizeof(bytes), 0, nullptr, nullptr), 2);
  EXPECT_EQ(std::string(bytes, 2), "89");
}

TEST_F(ShortIoTest, LeavesOtherDescriptorsAndTimesAlone) {
  const int event = eventfd(1, EFD_CLOEXEC);
  uint64_t value = 0;
  {
    const ShortIo short_io(1);
    EXPECT_EQ(read(event, &value, sizeof(value)), 8);
  }
  EXPECT_EQ(write(ends_[0], "text", 4), 4);
  close(event);
}

}  // namespace
}  // namespace anywire::test
