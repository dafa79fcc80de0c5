#include "tests/support/census.h"

#include <dirent.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace anywire::test {
namespace {

template <typename Visit>
void ForEachEntry(const char* path, Visit visit) {
  DIR* directory = opendir(path);
  if (directory == nullptr) std::abort();
  while (const dirent* entry = readdir(directory)) {
    if (entry->d_name[0] != '.') visit(entry->d_name, dirfd(directory));
  }
  closedir(directory);
}

}  // namespace

std::map<int, std::string> Census::Descriptors() {
  std::map<int, std::string> descriptors;
  ForEachEntry("/proc/self/fd", [&descriptors](const char* name, int directory) {
    const int fd = std::atoi(name);
    if (fd == directory) return;
    char target[PATH_MAX] = {};
    const ssize_t size = readlinkat(directory, name, target, sizeof(target));
    descriptors[fd] = size > 0 ? std::string(target, size) : "?";
  });
  return descriptors;
}

std::map<int, std::string> Census::Threads() {
  std::map<int, std::string> threads;
  ForEachEntry("/proc/self/task", [&threads](const char* id, int) {
    std::ifstream file(absl::StrCat("/proc/self/task/", id, "/comm"));
    std::getline(file, threads[std::atoi(id)]);
  });
  return threads;
}

Census::Census() {
  // With the program's first thread comes one of the thread sanitizer's own, which is none of a
  // test's.
  std::thread([] {}).join();
  descriptors_ = Descriptors();
  threads_ = Threads();
}

absl::Status Census::Compare() const {
  std::string more;
  for (const auto& [fd, target] : Descriptors()) {
    if (descriptors_.count(fd) == 0) absl::StrAppend(&more, " descriptor ", fd, " (", target, ")");
  }
  if (const std::map<int, std::string> threads = Threads(); threads.size() > threads_.size()) {
    for (const auto& [id, name] : threads) {
      if (threads_.count(id) == 0) absl::StrAppend(&more, " thread ", id, " (", name, ")");
    }
  }
  if (more.empty()) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("left behind:", more));
}

absl::Status Census::BackToBaseline(absl::Duration patience) const {
  const absl::Time give_up = absl::Now() + patience;
  for (;;) {
    absl::Status compared = Compare();
    if (compared.ok() || absl::Now() > give_up) return compared;
    std::this_thread::yield();
  }
}

}  // namespace anywire::test
