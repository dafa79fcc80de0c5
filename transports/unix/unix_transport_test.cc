// The file of a Unix socket: whose it is, who may use it, and when it goes.
#include "transports/unix/unix_transport.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/temp_dir.h"
#include "transports/stream/unique_fd.h"

namespace anywire {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class UnixTransportTest : public ::testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<Listener>> Listen(const std::string& path,
                                                   const Transport::ListenOptions& options = {}) {
    absl::StatusOr<std::unique_ptr<Listener>> result = absl::UnknownError("");
    loop_.RunAndWait(
        [this, &result, &path, &options] { result = transport_.Listen(loop_, path, options); });
    return result;
  }
  absl::StatusCode ListenCode(const std::string& path) {
    absl::StatusOr<std::unique_ptr<Listener>> listener = Listen(path);
    if (listener.ok()) Destroy(*listener);
    return listener.status().code();
  }
  void Destroy(std::unique_ptr<Listener>& listener) {
    loop_.RunAndWait([&listener] { listener.reset(); });
  }
  static bool Exists(const std::string& path) {
    struct stat status;
    return lstat(path.c_str(), &status) == 0;
  }
  static mode_t Mode(const std::string& path) {
    struct stat status;
    EXPECT_EQ(0, lstat(path.c_str(), &status));
    return status.st_mode & 07777;
  }
  // A socket file whose server is gone, or, while the descriptor lives, is not.
  static UniqueFd BoundSocket(const std::string& path, int type = SOCK_STREAM) {
    UniqueFd fd(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
    const UnixSocketAddress address = MakeUnixAddress(UnixNamespace::kPath, path);
    EXPECT_EQ(0, bind(fd.get(), address.get(), address.size)) << errno;
    return fd;
  }
  static ino_t Inode(const std::string& path) {
    struct stat status;
    EXPECT_EQ(0, lstat(path.c_str(), &status));
    return status.st_ino;
  }

  test::TempDir dir_;
  const std::string path_ = dir_.path() + "/s.sock";
  UnixTransport transport_{UnixNamespace::kPath};
  EventLoop loop_{"unix"};
};

TEST_F(UnixTransportTest, FileComesAndGoesWithItsListener) {
  absl::StatusOr<std::unique_ptr<Listener>> listener = Listen(path_);
  ASSERT_TRUE(listener.ok()) << listener.status();
  EXPECT_EQ("unix://" + path_, (*listener)->address());
  EXPECT_TRUE(Exists(path_));
  Destroy(*listener);
  EXPECT_FALSE(Exists(path_));
  EXPECT_FALSE(Exists(path_ + ".lock"));
}

TEST_F(UnixTransportTest, ModeIsExactWhateverTheUmask) {
  for (mode_t mask : {0000, 0022, 0077, 0777}) {
    for (mode_t mode : {0600, 0660, 0666, 0777, 0200}) {
      const mode_t before = umask(mask);
      absl::StatusOr<std::unique_ptr<Listener>> listener =
          Listen(path_, {.loops = {}, .socket_mode = mode});
      umask(before);
      ASSERT_TRUE(listener.ok()) << listener.status();
      EXPECT_EQ(mode, Mode(path_)) << "umask " << mask;
      Destroy(*listener);
    }
  }
  absl::StatusOr<std::unique_ptr<Listener>> listener = Listen(path_);
  EXPECT_EQ(0600u, Mode(path_)) << "the default";
  Destroy(*listener);
}

TEST_F(UnixTransportTest, StaleSocketIsReplaced) {
  BoundSocket(path_).Reset();
  ASSERT_TRUE(Exists(path_));
  absl::StatusOr<std::unique_ptr<Listener>> listener = Listen(path_);
  EXPECT_TRUE(listener.ok()) << listener.status();
  Destroy(*listener);
}

// As after a crash: the lock file is there too, unlocked.
TEST_F(UnixTransportTest, StaleLockIsTakenOver) {
  BoundSocket(path_).Reset();
  std::ofstream(path_ + ".lock").close();
  absl::StatusOr<std::unique_ptr<Listener>> listener = Listen(path_);
  EXPECT_TRUE(listener.ok()) << listener.status();
  Destroy(*listener);
  EXPECT_FALSE(Exists(path_ + ".lock"));
}

TEST_F(UnixTransportTest, LiveSocketIsLeftAlone) {
  UniqueFd live = BoundSocket(path_);  // of a program that knows nothing of our lock
  ASSERT_EQ(0, listen(live.get(), 1));
  const ino_t inode = Inode(path_);
  EXPECT_EQ(absl::StatusCode::kAlreadyExists, ListenCode(path_));
  EXPECT_EQ(inode, Inode(path_));
  // Nor when its queue is full.
  std::vector<UniqueFd> queue;
  for (;;) {
    UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    const UnixSocketAddress address = MakeUnixAddress(UnixNamespace::kPath, path_);
    if (connect(fd.get(), address.get(), address.size) != 0) break;
    queue.push_back(std::move(fd));
  }
  EXPECT_EQ(absl::StatusCode::kAlreadyExists, ListenCode(path_));
  EXPECT_EQ(inode, Inode(path_));
}

TEST_F(UnixTransportTest, WhatIsNoStreamSocketIsLeftAlone) {
  std::ofstream(path_) << "precious";
  EXPECT_EQ(absl::StatusCode::kAlreadyExists, ListenCode(path_));
  std::string text;
  std::ifstream(path_) >> text;
  EXPECT_EQ("precious", text);
  ASSERT_EQ(0, unlink(path_.c_str()));

  ASSERT_EQ(0, mkdir(path_.c_str(), 0700));
  EXPECT_EQ(absl::StatusCode::kAlreadyExists, ListenCode(path_));
  ASSERT_EQ(0, rmdir(path_.c_str()));

  // A link is not followed, not even to a dead socket.
  const std::string target = dir_.path() + "/target";
  BoundSocket(target).Reset();
  ASSERT_EQ(0, symlink(target.c_str(), path_.c_str()));
  EXPECT_EQ(absl::StatusCode::kAlreadyExists, ListenCode(path_));
  EXPECT_TRUE(Exists(path_));
  EXPECT_TRUE(Exists(target));
  ASSERT_EQ(0, unlink(path_.c_str()));

  const UniqueFd datagrams = BoundSocket(path_, SOCK_DGRAM);
  EXPECT_EQ(absl::StatusCode::kAlreadyExists, ListenCode(path_));
  EXPECT_TRUE(Exists(path_));
}

TEST_F(UnixTransportTest, LockIsNeverAnotherFile) {
  const std::string target = dir_.path() + "/target";
  std::ofstream(target) << "precious";
  ASSERT_EQ(0, symlink(target.c_str(), (path_ + ".lock").c_str()));
  EXPECT_NE(absl::StatusCode::kOk, ListenCode(path_));
  EXPECT_TRUE(Exists(path_ + ".lock"));
  EXPECT_TRUE(Exists(target));
}

TEST_F(UnixTransportTest, OnlyItsOwnFileIsRemoved) {
  absl::StatusOr<std::unique_ptr<Listener>> listener = Listen(path_);
  ASSERT_TRUE(listener.ok());
  ASSERT_EQ(0, unlink(path_.c_str()));
  std::ofstream(path_) << "another's";
  Destroy(*listener);
  EXPECT_TRUE(Exists(path_));
}

// However many start at once, on a path with a dead socket: one listens, and its socket stays.
TEST_F(UnixTransportTest, OfServersThatStartTogetherOneWins) {
  for (int round = 0; round < 50; ++round) {
    BoundSocket(path_).Reset();
    constexpr int kServers = 4;
    std::atomic<int> won{0}, refused{0};
    std::vector<std::unique_ptr<EventLoop>> loops;
    std::vector<std::unique_ptr<Listener>> listeners(kServers);
    std::vector<std::thread> threads;
    for (int i = 0; i < kServers; ++i) loops.push_back(std::make_unique<EventLoop>("server"));
    for (int i = 0; i < kServers; ++i) {
      threads.emplace_back([this, i, &loops, &listeners, &won, &refused] {
        loops[i]->RunAndWait([this, i, &loops, &listeners, &won, &refused] {
          absl::StatusOr<std::unique_ptr<Listener>> listener =
              transport_.Listen(*loops[i], path_, {});
          if (listener.ok()) {
            ++won;
            listeners[i] = std::move(*listener);
          } else if (listener.status().code() == absl::StatusCode::kAlreadyExists) {
            ++refused;
          } else {
            ADD_FAILURE() << listener.status();
          }
        });
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(1, won);
    EXPECT_EQ(kServers - 1, refused);
    UniqueFd client(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const UnixSocketAddress address = MakeUnixAddress(UnixNamespace::kPath, path_);
    EXPECT_EQ(0, connect(client.get(), address.get(), address.size)) << "the winner's is gone";
    for (int i = 0; i < kServers; ++i) {
      loops[i]->RunAndWait([&listeners, i] { listeners[i].reset(); });
    }
    EXPECT_FALSE(Exists(path_));
  }
}

TEST_F(UnixTransportTest, FolderThatDoesNotExistIsSaid) {
  absl::StatusOr<std::unique_ptr<Listener>> listener = Listen(dir_.path() + "/no/s.sock");
  EXPECT_EQ(absl::StatusCode::kNotFound, listener.status().code());
  EXPECT_THAT(std::string(listener.status().message()), HasSubstr("does not exist"));
}

std::string Check(UnixNamespace name_space, const std::string& address) {
  return std::string(CheckUnixAddress(name_space, address).message());
}

TEST(UnixAddressTest, PathsAreAbsoluteAndShortEnough) {
  const UnixNamespace path = UnixNamespace::kPath;
  EXPECT_EQ("", Check(path, "/run/x.sock"));
  EXPECT_EQ("", Check(path, "/" + std::string(106, 'x')));
  EXPECT_THAT(Check(path, "/" + std::string(107, 'x')), AllOf(HasSubstr("108"), HasSubstr("107")));
  EXPECT_THAT(Check(path, ""), HasSubstr("unix:///absolute/path"));
  EXPECT_THAT(Check(path, "run/x.sock"), HasSubstr("relative"));
  EXPECT_THAT(Check(path, "/run/"), HasSubstr("folder"));
  EXPECT_THAT(Check(path, std::string("/a\0b", 4)), HasSubstr("NUL"));
}

TEST(UnixAddressTest, AbstractNames) {
  const UnixNamespace abstract = UnixNamespace::kAbstract;
  EXPECT_EQ("", Check(abstract, "x/"));
  EXPECT_EQ("", Check(abstract, std::string(107, 'x')));
  EXPECT_THAT(Check(abstract, std::string(108, 'x')), HasSubstr("107"));
  EXPECT_THAT(Check(abstract, ""), HasSubstr("missing"));
}

// A path of the full length has no NUL at its end within sun_path's first 107 bytes, and works.
TEST_F(UnixTransportTest, LongestPathWorks) {
  std::string path = dir_.path() + "/";
  path += std::string(107 - path.size(), 'x');
  absl::StatusOr<std::unique_ptr<Listener>> listener = Listen(path);
  ASSERT_TRUE(listener.ok()) << listener.status();
  EXPECT_TRUE(Exists(path));
  Destroy(*listener);
  EXPECT_FALSE(Exists(path));
}

}  // namespace
}  // namespace anywire
