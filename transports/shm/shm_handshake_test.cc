// How a connection is agreed on, with peers that do not: who is silent, offers or answers something
// else, or keeps what it was offered ends that attempt and nothing else.
#include "transports/shm/shm_handshake.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "transports/shm/hostile_fixture.h"
#include "transports/unix/unix_address.h"

namespace {

std::atomic<bool> no_descriptors{false};

}  // namespace

// Instead of the C library's, so that it can be made to fail. (Taking all descriptors from the
// process would take them from a sanitizer, too.)
extern "C" int memfd_create(const char* name, unsigned flags) noexcept {
  if (no_descriptors) {
    errno = EMFILE;
    return -1;
  }
  return static_cast<int>(syscall(SYS_memfd_create, name, flags));
}

namespace anywire {
namespace {

using ::testing::HasSubstr;

TEST_F(ShmHostileTest, SilentPeersDelayNobodyAndAreClosed) {
  ShmOptions options = Options();
  options.handshake_timeout = std::chrono::milliseconds(200);
  Listen(options);
  const UniqueFd silent = ConnectTo(path_);
  const UniqueFd slow = ConnectTo(path_);
  ASSERT_EQ(3, send(slow.get(), kShmPreface, 3, 0));
  const Hostile prompt = Handshake(ConnectTo(path_));
  prompt.WriteHeader(0, 8, 0);
  prompt.out().tail.StoreSeqCst(24);
  EXPECT_TRUE(Next().ReceiveOne().ok());
  EXPECT_TRUE(IsClosed(silent.get()));
  EXPECT_TRUE(IsClosed(slow.get()));
}

// Peers whose offer cannot be made are closed, and it is said once why.
TEST_F(ShmHostileTest, ShortageIsTold) {
  Listen(Options());
  ::testing::internal::CaptureStderr();
  no_descriptors = true;
  for (int i = 0; i < 2; ++i) {
    const UniqueFd peer = ConnectTo(path_);
    EXPECT_TRUE(SendShmPreface(peer.get()).ok());
    EXPECT_TRUE(IsClosed(peer.get()));
  }
  no_descriptors = false;
  EXPECT_EQ(absl::StrCat("anywire: shm://", path_,
                         ": memfd_create: Too many open files; peers are turned away for now\n"),
            ::testing::internal::GetCapturedStderr());
  // Then it goes on.
  const Hostile hostile = Handshake(ConnectTo(path_));
  Next();
}

TEST_F(ShmHostileTest, OtherProtocolsAreClosed) {
  Listen(Options());
  for (const uint8_t first : {0x00, 0x16, 0x47}) {
    const UniqueFd other = ConnectTo(path_);
    ASSERT_EQ(1, send(other.get(), &first, 1, 0));
    EXPECT_TRUE(IsClosed(other.get()));
  }
  const UniqueFd stream = ConnectTo(path_);
  ASSERT_EQ(ssize_t{kPrefaceSize}, send(stream.get(), kPreface, kPrefaceSize, 0));
  EXPECT_TRUE(IsClosed(stream.get()));
}

// Offers that nobody reads are charged to who has sent them. In a process of a user of its own.
TEST(ShmOfferTest, TooManyUnreadAreResourceExhausted) {
  constexpr int kOffers = 64;
  constexpr int kCannotTry = 100;
  const ShmRegion::New made = ShmRegion::Create(kRing).value();
  int ends[2];
  ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends));
  const UniqueFd sending(ends[0]), unread(ends[1]);
  const pid_t child = fork();
  if (child == 0) {
    const rlimit few = {kOffers / 2, kOffers / 2};
    if (setrlimit(RLIMIT_NOFILE, &few) != 0) _exit(kCannotTry);
    if (geteuid() == 0 && setresuid(54321, 54321, 54321) != 0) _exit(kCannotTry);
    absl::Status status;
    for (int i = 0; i < kOffers && status.ok(); ++i) {
      status = SendShmOffer(sending.get(), made.fd.get(), kRing);
    }
    _exit(static_cast<int>(status.code()));
  }
  int status;
  ASSERT_EQ(child, waitpid(child, &status, 0));
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == kCannotTry) GTEST_SKIP() << "root that may not be another user";
  EXPECT_EQ(static_cast<int>(absl::StatusCode::kResourceExhausted), WEXITSTATUS(status));
}
class ShmHostileListenerTest : public ShmHostileTest {
 protected:
  ShmHostileListenerTest() : listening_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const UnixSocketAddress address = MakeUnixAddress(UnixNamespace::kPath, path_);
    EXPECT_EQ(0, bind(listening_.get(), address.get(), address.size));
    EXPECT_EQ(0, listen(listening_.get(), 10));
  }

  // What becomes of a client that is answered like this.
  absl::Status Answer(absl::string_view bytes, const std::vector<int>& fds,
                      const ShmOptions& options = Options(), bool close_then = true) {
    std::thread answering([this, bytes, &fds, close_then] {
      UniqueFd peer(accept(listening_.get(), nullptr, nullptr));
      iovec piece = {const_cast<char*>(bytes.data()), bytes.size()};
      std::vector<char> control(CMSG_SPACE(std::max<size_t>(1, fds.size()) * sizeof(int)));
      msghdr message = {};
      message.msg_iov = &piece;
      message.msg_iovlen = 1;
      if (!fds.empty()) {
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        cmsghdr* const header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
        std::memcpy(CMSG_DATA(header), fds.data(), fds.size() * sizeof(int));
      }
      if (!bytes.empty()) {
        EXPECT_EQ(static_cast<ssize_t>(bytes.size()), sendmsg(peer.get(), &message, 0));
      }
      if (close_then) shutdown(peer.get(), SHUT_WR);
      EXPECT_TRUE(IsClosed(peer.get()));
    });
    const absl::Status status = ConnectStatus(options);
    answering.join();
    return status;
  }
  static std::string Offer(uint64_t ring_size) {
    std::string bytes(reinterpret_cast<const char*>(kShmPreface), kPrefaceSize);
    for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(ring_size >> 8 * i));
    return bytes;
  }
  static UniqueFd Memory(uint64_t size, int seals, unsigned flags = MFD_ALLOW_SEALING) {
    UniqueFd fd(memfd_create("hostile", MFD_CLOEXEC | flags));
    EXPECT_EQ(0, ftruncate(fd.get(), static_cast<off_t>(size)));
    if (seals != 0) {
      EXPECT_EQ(0, fcntl(fd.get(), F_ADD_SEALS, seals));
    }
    return fd;
  }

  void TearDown() override {
    listening_.Reset();
    ShmHostileTest::TearDown();
  }

  UniqueFd listening_;
};

constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
uint64_t GoodSize() { return static_cast<uint64_t>(getpagesize()) + 2 * kRing; }

TEST_F(ShmHostileListenerTest, MemoryIsCheckedBeforeItIsMapped) {
  const UniqueFd good = Memory(GoodSize(), kSeals);
  EXPECT_TRUE(Answer(Offer(kRing), {good.get()}).ok());
  const std::string scratch = dir_.path() + "/file";
  struct Bad {
    const char* name;
    uint64_t ring_size;
    UniqueFd fd;
    const char* text;
  };
  int pipes[2];
  ASSERT_EQ(0, pipe2(pipes, O_CLOEXEC));
  const UniqueFd other_end(pipes[1]);
  std::vector<Bad> bad;
  const auto add = [&bad](const char* name, uint64_t ring_size, UniqueFd fd, const char* text) {
    bad.push_back({name, ring_size, std::move(fd), text});
  };
  add("not sealed", kRing, Memory(GoodSize(), 0), "not sealed");
  add("no seals possible", kRing, Memory(GoodSize(), 0, 0), "not sealed");
  add("may shrink", kRing, Memory(GoodSize(), F_SEAL_GROW | F_SEAL_SEAL), "not sealed");
  add("may grow", kRing, Memory(GoodSize(), F_SEAL_SHRINK | F_SEAL_SEAL), "not sealed");
  add("may be sealed", kRing, Memory(GoodSize(), F_SEAL_SHRINK | F_SEAL_GROW), "not sealed");
  add("too small", kRing, Memory(GoodSize() - 1, kSeals), "bytes and not");
  add("too large", kRing, Memory(GoodSize() + 1, kSeals), "bytes and not");
  add("empty", kRing, Memory(0, kSeals), "bytes and not");
  add("no power of two", kRing + 8, Memory(GoodSize() + 16, kSeals), "powers of two");
  add("no ring", 0, Memory(getpagesize(), kSeals), "powers of two");
  add("half a page", getpagesize() / 2, Memory(2 * getpagesize(), kSeals), "powers of two");
  add("4 GiB", uint64_t{4} << 30, Memory(getpagesize() + (uint64_t{8} << 30), kSeals),
      "powers of two");
  add("2^63", uint64_t{1} << 63, Memory(getpagesize(), kSeals), "powers of two");
  add("a pipe", kRing, UniqueFd(pipes[0]), "no shared memory");
  add("a socket", kRing, UniqueFd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)),
      "no shared memory");
  add("an eventfd", kRing, UniqueFd(eventfd(0, EFD_CLOEXEC)), "no shared memory");
  add("a device", kRing, UniqueFd(open("/dev/zero", O_RDWR | O_CLOEXEC)), "no shared memory");
  add("a folder", kRing, UniqueFd(open("/proc", O_RDONLY | O_CLOEXEC)), "no shared memory");
  for (const Bad& it : bad) {
    ASSERT_TRUE(it.fd.valid()) << it.name;
    const absl::Status status = Answer(Offer(it.ring_size), {it.fd.get()});
    EXPECT_EQ(absl::StatusCode::kDataLoss, status.code()) << it.name << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr(it.text)) << it.name;
  }
  const UniqueFd read_only(
      open(absl::StrCat("/proc/self/fd/", good.get()).c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_FALSE(Answer(Offer(kRing), {read_only.get()}).ok());
  const UniqueFd frozen = Memory(GoodSize(), kSeals | F_SEAL_WRITE);
  EXPECT_FALSE(Answer(Offer(kRing), {frozen.get()}).ok());
}

TEST_F(ShmHostileListenerTest, RingsAreTakenUpToALimitOfOurOwn) {
  const auto offered = [this](uint64_t ring_size) {
    const UniqueFd memory =
        Memory(static_cast<uint64_t>(getpagesize()) + 2 * ring_size, kSeals);  // no page of it yet
    return Answer(Offer(ring_size), {memory.get()});
  };
  EXPECT_TRUE(offered(kLargestRing / 2).ok());
  EXPECT_TRUE(offered(kLargestRing).ok());
  for (const uint64_t above : {uint64_t{2 * kLargestRing}, uint64_t{4} << 30}) {
    const absl::Status status = offered(above);
    EXPECT_EQ(absl::StatusCode::kDataLoss, status.code()) << status;
    EXPECT_EQ(absl::StrCat("shm://", path_, ": the peer has a ring of ", above,
                           " bytes; allowed: powers of two from ", getpagesize(), " to 67108864"),
              status.message());
  }
}

TEST_F(ShmHostileListenerTest, ExactlyOneDescriptorIsTaken) {
  const UniqueFd good = Memory(GoodSize(), kSeals);
  const test::Census before;
  for (size_t count : {0, 2, 3, 4, 5, 253}) {
    const absl::Status status = Answer(Offer(kRing), std::vector<int>(count, good.get()));
    EXPECT_EQ(absl::StatusCode::kDataLoss, status.code()) << count << ": " << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("descriptor"));
  }
  EXPECT_TRUE(before.BackToBaseline().ok()) << before.BackToBaseline();
}

TEST_F(ShmHostileListenerTest, OtherAnswersAreRefused) {
  const UniqueFd good = Memory(GoodSize(), kSeals);
  std::string other = Offer(kRing);
  other[7] = 2;  // another version
  EXPECT_EQ(absl::StatusCode::kDataLoss, Answer(other, {good.get()}).code());
  EXPECT_EQ(absl::StatusCode::kDataLoss, Answer("HTTP/1.1 400 Bad Request", {}).code());
  EXPECT_EQ(absl::StatusCode::kUnavailable, Answer("", {}).code());
  EXPECT_EQ(absl::StatusCode::kUnavailable,
            Answer(Offer(kRing).substr(0, kShmOfferSize - 1), {good.get()}).code());
}

TEST_F(ShmHostileListenerTest, SilenceEnds) {
  ShmOptions options = Options();
  options.handshake_timeout = std::chrono::milliseconds(50);
  const UniqueFd good = Memory(GoodSize(), kSeals);
  for (size_t size : {size_t{0}, size_t{1}, kShmOfferSize - 1}) {
    const absl::Status status =
        Answer(absl::string_view(Offer(kRing)).substr(0, size),
               size == 0 ? std::vector<int>() : std::vector<int>{good.get()}, options,
               /*close_then=*/false);
    EXPECT_EQ(absl::StatusCode::kUnavailable, status.code()) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("does not answer"));
  }
}

}  // namespace
}  // namespace anywire
