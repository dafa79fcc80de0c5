#include "runtime/config/command_line.h"

#include <cstdlib>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "runtime/config/fake_transports.h"
#include "runtime/config/testing.h"

namespace anywire::config {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// An argv of its own.
class Arguments {
 public:
  explicit Arguments(std::vector<std::string> texts) : texts_(std::move(texts)) {
    for (std::string& text : texts_) argv_.push_back(text.data());
    argc = static_cast<int>(argv_.size());
    argv_.push_back(nullptr);
  }
  char** argv() { return argv_.data(); }
  std::vector<std::string> Left() {
    EXPECT_EQ(argv_[argc], nullptr);
    return std::vector<std::string>(argv_.begin(), argv_.begin() + argc);
  }
  int argc;

 private:
  std::vector<std::string> texts_;
  std::vector<char*> argv_;
};

TEST(TakeConfigFlagTest, NoFlag) {
  Arguments arguments({"program", "-v", "file"});
  const auto flag = TakeConfigFlag(arguments.argc, arguments.argv());
  ASSERT_TRUE(flag.ok());
  EXPECT_EQ(*flag, std::nullopt);
  EXPECT_THAT(arguments.Left(), ElementsAre("program", "-v", "file"));
}

TEST(TakeConfigFlagTest, AllSpellingsAreRemoved) {
  for (const std::vector<std::string>& spelling :
       std::vector<std::vector<std::string>>{{"--anywire_config=a.cfg"},
                                             {"--anywire_config", "a.cfg"},
                                             {"-anywire_config=a.cfg"},
                                             {"-anywire_config", "a.cfg"}}) {
    std::vector<std::string> all = {"program", "first"};
    all.insert(all.end(), spelling.begin(), spelling.end());
    all.push_back("last");
    Arguments arguments(all);
    const auto flag = TakeConfigFlag(arguments.argc, arguments.argv());
    ASSERT_TRUE(flag.ok()) << spelling[0];
    EXPECT_EQ(*flag, "a.cfg") << spelling[0];
    EXPECT_THAT(arguments.Left(), ElementsAre("program", "first", "last"));
  }
}

TEST(TakeConfigFlagTest, TheLastOneCounts) {
  Arguments arguments({"program", "--anywire_config=a", "x", "--anywire_config", "b=c"});
  EXPECT_EQ(*TakeConfigFlag(arguments.argc, arguments.argv()), "b=c");
  EXPECT_THAT(arguments.Left(), ElementsAre("program", "x"));
}

TEST(TakeConfigFlagTest, OnlyTheWholeWordBeforeTwoDashesCounts) {
  Arguments arguments({"--anywire_config=program", "--anywire_configuration=a", "anywire_config=b",
                       "--", "--anywire_config=c"});
  EXPECT_EQ(*TakeConfigFlag(arguments.argc, arguments.argv()), std::nullopt);
  EXPECT_EQ(arguments.Left().size(), 5u);
}

TEST(TakeConfigFlagTest, NoFileIsAnError) {
  for (const std::vector<std::string>& all : std::vector<std::vector<std::string>>{
           {"program", "--anywire_config"},
           {"program", "--anywire_config="},
           {"program", "--anywire_config", ""},
           {"program", "--anywire_config", "--", "x"},
           {"program", "--anywire_config=", "--anywire_config=a"}}) {
    Arguments arguments(all);
    EXPECT_EQ(TakeConfigFlag(arguments.argc, arguments.argv()).status(),
              absl::InvalidArgumentError("--anywire_config names no file; allowed: "
                                         "--anywire_config=FILE or --anywire_config FILE"));
    arguments.Left();
  }
}

TEST(TakeConfigFlagTest, NoArgumentsAtAll) {
  Arguments arguments({});
  EXPECT_EQ(*TakeConfigFlag(arguments.argc, arguments.argv()), std::nullopt);
  EXPECT_EQ(arguments.argc, 0);
}

class LoadConfigForProcessTest : public testing::Test {
 protected:
  absl::StatusOr<Config> Load(std::vector<std::string> arguments, const char* environment) {
    arguments.insert(arguments.begin(), "program");
    Arguments all(std::move(arguments));
    return LoadConfigForProcess(all.argc, all.argv(), environment, FakeTransports());
  }

  const std::string three_ = WriteFile("three.cfg", "runtime { io_threads: 3 }");
  const std::string five_ = WriteFile("five.cfg", "runtime { io_threads: 5 }");
};

TEST_F(LoadConfigForProcessTest, NothingNamedIsNoFile) {
  for (const char* environment : {static_cast<const char*>(nullptr), ""}) {
    const absl::StatusOr<Config> config = Load({}, environment);
    ASSERT_TRUE(config.ok()) << config.status();
    EXPECT_EQ(config->file(), "");
  }
}

TEST_F(LoadConfigForProcessTest, FlagBeforeEnvironment) {
  EXPECT_EQ(Load({}, five_.c_str())->runtime().io_threads, 5u);
  EXPECT_EQ(Load({"--anywire_config=" + three_}, nullptr)->runtime().io_threads, 3u);
  EXPECT_EQ(Load({"--anywire_config=" + three_}, five_.c_str())->runtime().io_threads, 3u);
  EXPECT_EQ(Load({"--anywire_config=" + three_}, "/nowhere")->runtime().io_threads, 3u);
}

TEST_F(LoadConfigForProcessTest, MissingFileSaysWhoNamedIt) {
  EXPECT_THAT(std::string(Load({"--anywire_config=/nowhere"}, five_.c_str()).status().message()),
              HasSubstr("/nowhere: there is no such file (named by --anywire_config)"));
  EXPECT_THAT(std::string(Load({}, "/nowhere").status().message()),
              HasSubstr("/nowhere: there is no such file (named by ANYWIRE_CONFIG)"));
}

TEST_F(LoadConfigForProcessTest, UrisAreChecked) {
  const std::string path = WriteFile("scheme.cfg", "service { name: \"a\" listen: \"shm:x\" }");
  EXPECT_THAT(std::string(Load({}, path.c_str()).status().message()),
              HasSubstr("scheme.cfg:1:29: service.listen: unknown scheme \"shm\""));
}

// ---- the process ends ----

// NOLINTBEGIN(concurrency-mt-unsafe): one thread
void LoadHere(const std::vector<std::string>& arguments) {
  Arguments all(arguments);
  const Config config = LoadConfigOrExit(all.argc, all.argv(), FakeTransports());
  std::fprintf(stderr, "%u threads\n", config.runtime().io_threads);
  std::exit(0);
}

TEST(LoadConfigOrExitDeathTest, BadConfigIsOneLineAndExitCode2) {
  const std::string path = WriteFile("bad.cfg", "\nservce { }");
  EXPECT_EXIT(LoadHere({"program", "--anywire_config=" + path}), testing::ExitedWithCode(2),
              "^[^\n]*bad\\.cfg:2:1: unknown key \"servce\" at the top of the file [^\n]*\n$");
  EXPECT_EXIT(LoadHere({"program", "--anywire_config"}), testing::ExitedWithCode(2),
              "^--anywire_config names no file[^\n]*\n$");
}

TEST(LoadConfigOrExitDeathTest, EnvironmentIsRead) {
  const std::string good = WriteFile("seven.json", R"({"runtime": {"ioThreads": 7}})");
  setenv("ANYWIRE_CONFIG", good.c_str(), 1);
  EXPECT_EXIT(LoadHere({"program"}), testing::ExitedWithCode(0), "^7 threads\n$");
  setenv("ANYWIRE_CONFIG", "/nowhere.json", 1);
  EXPECT_EXIT(LoadHere({"program"}), testing::ExitedWithCode(2),
              "^/nowhere\\.json: there is no such file \\(named by ANYWIRE_CONFIG\\)[^\n]*\n$");
  unsetenv("ANYWIRE_CONFIG");
}
// NOLINTEND(concurrency-mt-unsafe)

}  // namespace
}  // namespace anywire::config
