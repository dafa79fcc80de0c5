// The generated code of every case, compared with the files in expected/, byte for byte.
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

#include "gtest/gtest.h"

namespace anywire::codegen {
namespace {

namespace fs = std::filesystem;

constexpr char kHowToUpdate[] = "if the change is meant: bazel run //tests/golden:update";

std::string Read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

// Name of generated file: where it is.
std::map<std::string, fs::path> Generated() {
  std::map<std::string, fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator("tests/golden/cases")) {
    files.emplace(entry.path().filename(), entry.path());
  }
  return files;
}

std::map<std::string, fs::path> Expected() {
  std::map<std::string, fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator("tests/golden/expected")) {
    files.emplace(entry.path().stem(), entry.path());
  }
  return files;
}

// The first line in which they differ.
std::string Difference(const std::string& generated, const std::string& expected) {
  std::istringstream generated_lines(generated);
  std::istringstream expected_lines(expected);
  for (int number = 1;; ++number) {
    std::string was;
    std::string is;
    const bool more_expected = static_cast<bool>(std::getline(expected_lines, was));
    const bool more_generated = static_cast<bool>(std::getline(generated_lines, is));
    if (!more_expected && !more_generated) return "they differ in how they end";
    if (was != is || more_expected != more_generated) {
      return "line " + std::to_string(number) + "\n  expected:  " + was + "\n  generated: " + is;
    }
  }
}

TEST(Golden, EveryGeneratedFileIsTheExpectedOne) {
  const std::map<std::string, fs::path> expected = Expected();
  for (const auto& [name, path] : Generated()) {
    const auto golden = expected.find(name);
    if (golden == expected.end()) {
      ADD_FAILURE() << name << " is not among the expected files; " << kHowToUpdate;
      continue;
    }
    const std::string generated_text = Read(path);
    const std::string expected_text = Read(golden->second);
    EXPECT_TRUE(generated_text == expected_text)
        << name << ": " << Difference(generated_text, expected_text) << "\n"
        << kHowToUpdate;
  }
}

TEST(Golden, EveryExpectedFileIsStillGenerated) {
  const std::map<std::string, fs::path> generated = Generated();
  EXPECT_GE(generated.size(), 30u);
  for (const auto& [name, path] : Expected()) {
    EXPECT_TRUE(generated.count(name)) << path << " is of no case any more; " << kHowToUpdate;
  }
}

}  // namespace
}  // namespace anywire::codegen
