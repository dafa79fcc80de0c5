// Nothing of a connection has a name, so nothing is left when either side is killed in the middle
// of it: but for what unix (transports/unix) leaves in the folder of the socket.
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/shm/echo.h"
#include "tests/support/child_process.h"
#include "tests/support/temp_dir.h"
#include "tests/support/watchdog.h"

namespace anywire::test {
namespace {

namespace fs = std::filesystem;

// The child: "server PATH", or "client PATH" with a connection on which it has called.
int RunChild(const std::string& role, const std::string& path) {
  const std::unique_ptr<EchoServer> server =
      role == "server" ? std::make_unique<EchoServer>(path, ShmOptions()) : nullptr;
  const std::unique_ptr<Runtime> runtime = ShmRuntime({});
  const echo::Echo::Stub stub(Channel(*runtime, "shm://" + path));
  echo::Message request;
  request.set_payload(std::string(100'000, 'x'));
  if (role == "client" && !stub.Echo(request).ok()) return 1;
  std::puts("ready");
  std::fflush(stdout);
  for (;;) pause();
}

// What is in folders in which programs put what is to go away by itself.
bool IsTemporary(const std::string& path) {
  return absl::StartsWith(path, "/dev/shm/") || absl::StartsWith(path, "/tmp/") ||
         absl::StartsWith(path, "/var/tmp/") || absl::StartsWith(path, "/run/");
}

// What a process shares with others: memory that it has mapped, and files that it has open.
std::multiset<std::string> SharedBy(pid_t pid) {
  std::multiset<std::string> shared;
  std::ifstream maps(absl::StrCat("/proc/", pid, "/maps"));
  for (std::string line; std::getline(maps, line);) {
    std::istringstream words(line);
    std::string range, rights, offset, device, inode, name;
    words >> range >> rights >> offset >> device >> inode >> name;
    if (absl::EndsWith(rights, "s")) shared.insert(name);
  }
  for (const auto& fd : fs::directory_iterator(absl::StrCat("/proc/", pid, "/fd"))) {
    std::error_code gone;
    shared.insert(fs::read_symlink(fd.path(), gone).string());
  }
  return shared;
}

// The names of `folder` that might be ours. Others' temporary folders come and go meanwhile, so what
// is gone once it is looked at is not taken for a file: it is not left either.
std::set<std::string> OursIn(const std::string& folder) {
  std::set<std::string> names;
  if (!fs::exists(folder)) return names;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename();
    if (!absl::StrContains(name, "anywire")) continue;
    std::error_code gone;
    const fs::file_status status = fs::symlink_status(entry.path(), gone);
    if (fs::exists(status) && !fs::is_directory(status)) names.insert(name);
  }
  return names;
}

class NamesTest : public ::testing::Test {
 protected:
  std::unique_ptr<ChildProcess> Start(const char* role) {
    return ChildProcess::StartSelf({role, path_});
  }
  void ExpectNoNames(const ChildProcess& process) {
    const std::multiset<std::string> shared = SharedBy(process.pid());
    EXPECT_GT(shared.count("/memfd:anywire"), 0u) << "no connection";
    for (const std::string& name : shared) {
      EXPECT_TRUE(!IsTemporary(name) || name == path_ + ".lock" || inherited_.contains(name))
          << name;
    }
  }
  void Kill(ChildProcess& process) {
    process.Signal(SIGKILL);
    EXPECT_EQ(128 + SIGKILL, process.Wait());
    for (const auto& entry : fs::directory_iterator(dir_.path())) {
      EXPECT_TRUE(entry.path() == path_ || entry.path() == path_ + ".lock") << entry.path();
    }
    EXPECT_EQ(in_shm_, OursIn("/dev/shm"));
    EXPECT_EQ(in_tmp_, OursIn(fs::temp_directory_path()));
  }

  const Watchdog watchdog_{"names", absl::Seconds(50)};
  const TempDir dir_;
  const std::string path_ = dir_.path() + "/s.sock";
  const std::multiset<std::string> inherited_ = SharedBy(getpid());  // where our output goes
  const std::set<std::string> in_shm_ = OursIn("/dev/shm");
  const std::set<std::string> in_tmp_ = OursIn(fs::temp_directory_path());
};

TEST_F(NamesTest, NothingIsLeftOfEitherSide) {
  for (const bool client_first : {true, false}) {
    const std::unique_ptr<ChildProcess> server = Start("server"), client = Start("client");
    ExpectNoNames(*server);
    ExpectNoNames(*client);
    Kill(client_first ? *client : *server);
    Kill(client_first ? *server : *client);
  }
}

}  // namespace
}  // namespace anywire::test

int main(int argc, char** argv) {
  if (argc == 3 && argv[1][0] != '-') return anywire::test::RunChild(argv[1], argv[2]);
  ::testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
