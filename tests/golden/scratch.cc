#include "tests/golden/scratch.h"

#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"

namespace anywire::codegen {
namespace {

namespace fs = std::filesystem;

std::string ReadFile(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  EXPECT_TRUE(file) << path;
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

}  // namespace

Scratch::Scratch() : repository_(fs::current_path()) {
  const testing::TestInfo& test = *testing::UnitTest::GetInstance()->current_test_info();
  std::string name = absl::StrCat(test.test_suite_name(), ".", test.name());
  for (char& c : name) {
    if (c == '/') c = '_';
  }
  directory_ = absl::StrCat(testing::TempDir(), name);
  fs::remove_all(directory_);
  fs::create_directories(directory_);
}

void Scratch::Write(const std::string& path, const std::string& text) {
  const fs::path full = fs::path(directory_) / path;
  fs::create_directories(full.parent_path());
  std::ofstream(full, std::ios::binary) << text;
}

std::string Scratch::Read(const std::string& path) const {
  return ReadFile(fs::path(directory_) / path);
}

std::map<std::string, std::string> Scratch::ReadAll(const std::string& directory) const {
  std::map<std::string, std::string> files;
  const fs::path top = fs::path(directory_) / directory;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(top)) {
    if (entry.is_regular_file())
      files.emplace(fs::relative(entry.path(), top), ReadFile(entry.path()));
  }
  return files;
}

CommandResult Scratch::Run(const std::string& command) const {
  const std::string full =
      absl::StrCat("cd '", directory_, "' && { timeout 60 ", command, "; } 2>&1");
  FILE* const pipe = popen(full.c_str(), "r");
  if (pipe == nullptr) return {.exit_code = -1, .output = "popen failed"};
  CommandResult result;
  char buffer[4096];
  while (const size_t size = fread(buffer, 1, sizeof buffer, pipe))
    result.output.append(buffer, size);
  const int status = pclose(pipe);
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return result;
}

CommandResult Scratch::Protoc(const std::string& parameter, const std::vector<std::string>& files,
                              const std::string& out) const {
  fs::create_directories(fs::path(directory_) / out);
  return Run(absl::StrCat("/usr/bin/protoc -I. -I'", repository_,
                          "' -I/usr/include --plugin=protoc-gen-anywire='", repository_,
                          "/codegen/protoc-gen-anywire' --anywire_out=", parameter, ":", out, " ",
                          absl::StrJoin(files, " ")));
}

}  // namespace anywire::codegen
