// A server and a client of one process, over every registered transport: what arrives, what is
// refused, what is told.
#include "examples/filecopy/copier.h"

#include <stdlib.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "anywire/builtin.h"
#include "anywire/channel.h"
#include "anywire/registry.h"
#include "anywire/runtime.h"
#include "anywire/server.h"
#include "examples/filecopy/filecopy.anywire.h"
#include "examples/filecopy/probe.h"
#include "examples/filecopy/service.h"
#include "examples/filecopy/sha256.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace anywire::examples {
namespace {

using filecopy::Entry;
using filecopy::FetchReply;
using filecopy::FetchRequest;
using filecopy::FileCopy;
using filecopy::ListReply;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr absl::Duration kTimeout = absl::Seconds(30);

TransportRegistry Transports() {
  TransportRegistry registry;
  RegisterBuiltinTransports(registry);
  return registry;
}

// A scratch folder whose name is short enough for a socket.
class Scratch {
 public:
  Scratch() {
    char pattern[] = "/tmp/filecopy-XXXXXX";
    path_ = mkdtemp(pattern) != nullptr ? pattern : "";
  }
  ~Scratch() {
    EXPECT_EQ(system(absl::StrCat("chmod -R u+rwx ", path_, " && rm -rf ", path_).c_str()), 0);
  }
  std::string operator/(absl::string_view name) const { return absl::StrCat(path_, "/", name); }
  const std::string& path() const { return path_; }
  // Runs a command in it.
  int Shell(const std::string& command) const {
    return system(absl::StrCat("cd ", path_, " && { ", command, "; }").c_str());
  }

 private:
  std::string path_;
};

// Serves `service` on a fresh address of the transport.
class Serving {
 public:
  Serving(const Scratch& scratch, absl::string_view scheme, Service& files)
      : runtime_(Transports()), server_(runtime_) {
    TransportRegistry registry = Transports();
    std::string address;
    for (Transport* transport : registry.transports()) {
      if (transport->scheme() == scheme) address = transport->FreshAddress(scratch.path());
    }
    server_.Listen(absl::StrCat(scheme, "://", address));
    server_.AddService(&files);
    server_.AddService(&probe_);
    const absl::Status status = server_.Start();
    EXPECT_TRUE(status.ok()) << status;
    channel_ = std::make_unique<Channel>(runtime_, server_.addresses().at(0));
  }
  const Channel& channel() const { return *channel_; }
  Server& server() { return server_; }

 private:
  Runtime runtime_;
  ProbeService probe_;
  Server server_;
  std::unique_ptr<Channel> channel_;
};

absl::StatusOr<CopyResult> Copy(const Channel& channel, const std::string& into,
                                CopyOptions options = {}) {
  options.timeout = kTimeout;
  Progress progress(Progress::kSilent);
  return CopyTree(channel, into, options, progress);
}

class CopyTest : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { ASSERT_EQ(scratch_.Shell("mkdir from to"), 0); }

  absl::StatusOr<CopyResult> CopyOnce(CopyOptions options = {}) {
    FileCopyService files(*TreeReader::Open(scratch_ / "from"));
    const Serving serving(scratch_, GetParam(), files);
    return Copy(serving.channel(), scratch_ / "to", std::move(options));
  }
  // The status of fetching one path.
  absl::Status Fetch(absl::string_view path, uint32_t chunk_size = 1024) {
    FileCopyService files(*TreeReader::Open(scratch_ / "from"));
    const Serving serving(scratch_, GetParam(), files);
    const FileCopy::Stub stub(serving.channel());
    FetchRequest request;
    request.set_path(std::string(path));
    request.set_chunk_size(chunk_size);
    ClientReader<FetchReply> reader = stub.Fetch(request, {.timeout = kTimeout});
    FetchReply reply;
    while (reader.Read(&reply)) {
    }
    return reader.Finish();
  }
  Scratch scratch_;
};

INSTANTIATE_TEST_SUITE_P(Transports, CopyTest, testing::ValuesIn([] {
                           std::vector<std::string> schemes;
                           TransportRegistry registry = Transports();
                           for (Transport* transport : registry.transports()) {
                             schemes.emplace_back(transport->scheme());
                           }
                           return schemes;
                         }()),
                         [](const testing::TestParamInfo<std::string>& info) {
                           return absl::StrReplaceAll(info.param, {{"-", "_"}, {"+", "_"}});
                         });

TEST_P(CopyTest, CopiesATree) {
  ASSERT_EQ(
      scratch_.Shell("cd from && mkdir -p a/b/c empty"
                     " && printf x > a/one && : > a/nothing && printf y > 'a/b/odd\n\xff name'"
                     " && head -c 3000000 /dev/urandom > a/b/c/big"
                     " && chmod 755 a/one && chmod 440 a/nothing && chmod 711 a/b"
                     " && for i in $(seq 300); do echo $i > a/b/c/$i; done"
                     " && ln -s ../a empty/to-a && ln -s /nowhere dangling"
                     " && mkdir readonly && echo z > readonly/file && chmod 555 readonly"),
      0);
  const absl::StatusOr<CopyResult> result = CopyOnce();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->files, 305u);
  EXPECT_EQ(result->folders, 5u);
  EXPECT_EQ(result->links, 2u);
  EXPECT_EQ(result->skipped, 0u);
  EXPECT_EQ(result->failed, 0u);
  EXPECT_THAT(result->problems, IsEmpty());
  EXPECT_EQ(scratch_.Shell("diff -r --no-dereference from to"), 0);
  // Names, kinds, modes and link targets of both are the same.
  EXPECT_EQ(scratch_.Shell("(cd from && find . -mindepth 1 -printf '%y %m %l %p\\n' | sort) > 1 &&"
                           "(cd to && find . -mindepth 1 -printf '%y %m %l %p\\n' | sort) > 2 &&"
                           "cmp 1 2"),
            0);
}

TEST_P(CopyTest, CopiesAgainOverWhatIsThere) {
  ASSERT_EQ(scratch_.Shell("cd from && mkdir d && echo one > d/file && ln -s d link"), 0);
  ASSERT_TRUE(CopyOnce().ok());
  ASSERT_EQ(scratch_.Shell("echo two > from/d/file && echo mine > to/other"), 0);
  const absl::StatusOr<CopyResult> result = CopyOnce();
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->failed, 0u);
  EXPECT_EQ(scratch_.Shell("cmp from/d/file to/d/file && grep -q mine to/other"), 0);
}

TEST_P(CopyTest, CopiesInChunksOfAnySize) {
  for (const uint32_t chunk_size : {1u, 7u, 64u, 65u, kMaxChunkSize}) {
    for (const int size : {0, 1, 64, 65, 129}) {
      ASSERT_EQ(scratch_.Shell(absl::StrCat("head -c ", size, " /dev/urandom > from/", size)), 0);
    }
    const absl::StatusOr<CopyResult> result = CopyOnce({.calls = 1, .chunk_size = chunk_size});
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->bytes, 0u + 1 + 64 + 65 + 129);
    EXPECT_EQ(scratch_.Shell("diff -r from to && rm -r to/*"), 0) << chunk_size;
  }
}

TEST_P(CopyTest, SkipsSpecialFilesAndSaysSo) {
  ASSERT_EQ(scratch_.Shell("mkfifo from/pipe && echo x > from/file"), 0);
  const absl::StatusOr<CopyResult> result = CopyOnce();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->files, 1u);
  EXPECT_EQ(result->skipped, 1u);
  EXPECT_THAT(result->problems.at(0).message(), HasSubstr("pipe: skipped by the server"));
}

TEST_P(CopyTest, NamesTheFileThatCannotBePlaced) {
  ASSERT_EQ(scratch_.Shell("echo x > from/file && echo y > from/other && mkdir -p to/file/full"),
            0);
  const absl::StatusOr<CopyResult> result = CopyOnce();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->files, 1u);
  EXPECT_EQ(result->failed, 1u);
  EXPECT_THAT(result->problems.at(0).message(), HasSubstr("file: cannot put it in its place"));
  EXPECT_EQ(scratch_.Shell("test -z \"$(find to -name '.filecopy-*')\""), 0);
}

TEST_P(CopyTest, RefusesWhatLeadsOutOfTheRoot) {
  ASSERT_EQ(scratch_.Shell("echo secret > secret && ln -s .. from/up && ln -s ../secret from/link"),
            0);
  EXPECT_TRUE(absl::IsInvalidArgument(Fetch("../secret")));
  EXPECT_TRUE(absl::IsInvalidArgument(Fetch(scratch_ / "secret")));
  EXPECT_TRUE(absl::IsInvalidArgument(Fetch("")));
  EXPECT_TRUE(absl::IsPermissionDenied(Fetch("up/secret")));
  EXPECT_TRUE(absl::IsPermissionDenied(Fetch("link")));
  EXPECT_TRUE(absl::IsNotFound(Fetch("vanished")));
}

TEST_P(CopyTest, RefusesChunkSizesOutOfRange) {
  ASSERT_EQ(scratch_.Shell("echo x > from/file"), 0);
  EXPECT_TRUE(absl::IsInvalidArgument(Fetch("file", 0)));
  EXPECT_TRUE(Fetch("file", 1).ok());
  EXPECT_TRUE(Fetch("file", kMaxChunkSize - 1).ok());
  EXPECT_TRUE(Fetch("file", kMaxChunkSize).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(Fetch("file", kMaxChunkSize + 1)));
}

// A server that means harm or is broken: what it lists and sends is the test's.
class RogueService final : public FileCopy::BlockingService {
 public:
  absl::Status List(ServerContext&, const filecopy::ListRequest&,
                    BlockingServerWriter<ListReply>& writer) override {
    writer.Write(list);
    return absl::OkStatus();
  }
  absl::Status Fetch(ServerContext&, const FetchRequest&,
                     BlockingServerWriter<FetchReply>& writer) override {
    ++fetched;
    if (!status.ok()) return status;
    FetchReply reply;
    reply.set_data("data");
    if (with_end) {
      reply.mutable_end()->set_size(size);
      reply.mutable_end()->set_sha256(sha256);
      reply.mutable_end()->set_mode(07777);
    }
    writer.Write(reply);
    return absl::OkStatus();
  }
  void Lists(Entry::Kind kind, const std::string& path, const std::string& target = "") {
    Entry& entry = *list.add_entries();
    entry.set_kind(kind);
    entry.set_path(path);
    entry.set_mode(0755);
    entry.set_link_target(target);
  }
  ListReply list;
  absl::Status status;
  bool with_end = true;
  uint64_t size = 4;
  std::string sha256 = [] {
    Sha256 sha;
    sha.Update("data");
    return *sha.Finish();
  }();
  std::atomic<int> fetched{0};
};

class RogueTest : public CopyTest {
 protected:
  absl::StatusOr<CopyResult> CopyFromRogue(CopyOptions options = {}) {
    const Serving serving(scratch_, GetParam(), rogue_);
    return Copy(serving.channel(), scratch_ / "to", std::move(options));
  }
  RogueService rogue_;
};

INSTANTIATE_TEST_SUITE_P(Inproc, RogueTest, testing::Values("inproc"));

TEST_P(RogueTest, WritesNothingOutsideTheDestination) {
  ASSERT_EQ(scratch_.Shell("mkdir outside && ln -s ../outside to/standing"), 0);
  rogue_.Lists(Entry::FOLDER, "../outside/1");
  rogue_.Lists(Entry::FILE, "../outside/2");
  rogue_.Lists(Entry::FILE, scratch_ / "outside/3");
  rogue_.Lists(Entry::LINK, "link", "../outside");
  rogue_.Lists(Entry::FILE, "link/4");
  rogue_.Lists(Entry::FILE, "standing/5");
  rogue_.Lists(Entry::LINK, "standing/6", "x");
  rogue_.Lists(Entry::FILE, "");
  const absl::StatusOr<CopyResult> result = CopyFromRogue();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->files, 0u);
  EXPECT_EQ(result->failed, 7u);
  EXPECT_EQ(result->links, 1u);
  EXPECT_EQ(scratch_.Shell("test -z \"$(ls -A outside)\""), 0);
}

TEST_P(RogueTest, GivesNoMoreThanPermissions) {
  rogue_.Lists(Entry::FILE, "file");
  ASSERT_TRUE(CopyFromRogue().ok());
  EXPECT_EQ(scratch_.Shell("test $(stat -c %a to/file) = 777"), 0);
}

TEST_P(RogueTest, NoticesWrongBytes) {
  rogue_.Lists(Entry::FILE, "dir/file");
  rogue_.Lists(Entry::FOLDER, "dir");
  const auto expect_data_loss = [this] {
    const absl::StatusOr<CopyResult> result = CopyFromRogue();
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->failed, 1u);
    EXPECT_TRUE(absl::IsDataLoss(result->problems.at(0))) << result->problems[0];
    EXPECT_THAT(result->problems.at(0).message(), HasSubstr("dir/file: "));
    EXPECT_EQ(scratch_.Shell("test -z \"$(ls -A to/dir)\""), 0);
  };
  rogue_.sha256[0] ^= 1;
  expect_data_loss();
  rogue_.sha256[0] ^= 1;
  rogue_.size = 5;
  expect_data_loss();
  rogue_.size = 4;
  rogue_.with_end = false;
  expect_data_loss();
}

TEST_P(RogueTest, TriesAgainWhatChangedAndGoesOnAfterwards) {
  rogue_.Lists(Entry::FILE, "a");
  rogue_.Lists(Entry::FILE, "b");
  rogue_.status = absl::AbortedError("changed while it was read");
  const absl::StatusOr<CopyResult> result = CopyFromRogue();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(rogue_.fetched, 2 * 3);
  EXPECT_EQ(result->failed, 2u);
  EXPECT_THAT(result->problems.at(0).message(), HasSubstr("changed while it was read"));
}

TEST_P(RogueTest, StopsWhenTheServerIsGone) {
  for (int i = 0; i < 100; ++i) rogue_.Lists(Entry::FILE, absl::StrCat(i));
  rogue_.status = absl::UnavailableError("going");
  const absl::Status status = CopyFromRogue({.calls = 1}).status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_EQ(rogue_.fetched, 1);
}

TEST_P(RogueTest, EndsWhenCancelled) {
  CancellationSource source;
  source.Cancel();
  rogue_.Lists(Entry::FILE, "file");
  const absl::Status status = CopyFromRogue({.cancellation = source.token()}).status();
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
}

TEST_P(CopyTest, SaysWhatIsWrongWithTheDestination) {
  FileCopyService files(*TreeReader::Open(scratch_ / "from"));
  const Serving serving(scratch_, GetParam(), files);
  const absl::Status status = Copy(serving.channel(), scratch_ / "no/such/folder").status();
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_THAT(std::string(status.message()), HasSubstr("no/such/folder"));
}

TEST_P(CopyTest, EndsWhenTheServerShutsDown) {
  FileCopyService files(*TreeReader::Open(scratch_ / "from"));
  Serving serving(scratch_, GetParam(), files);
  serving.server().Shutdown(absl::ZeroDuration());
  serving.server().Wait();
  const absl::Status status = Copy(serving.channel(), scratch_ / "to").status();
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
}

TEST_P(CopyTest, TimesSmallCalls) {
  FileCopyService files(*TreeReader::Open(scratch_ / "from"));
  const Serving serving(scratch_, GetParam(), files);
  BackgroundProbe background(serving.channel());
  const absl::StatusOr<Latency> latency = ProbeCalls(serving.channel(), 50);
  ASSERT_TRUE(latency.ok()) << latency.status();
  EXPECT_EQ(latency->calls, 50u);
  EXPECT_GT(latency->p50, absl::ZeroDuration());
  EXPECT_GE(latency->p99, latency->p50);
  EXPECT_GE(background.Stop().calls, 1u);
}

TEST(Percentiles, AreByNearestRank) {
  EXPECT_EQ(Summarise({}).calls, 0u);
  std::vector<absl::Duration> times;
  for (int i = 200; i > 0; --i) times.push_back(absl::Microseconds(i));
  const Latency latency = Summarise(times);
  EXPECT_EQ(latency.p50, absl::Microseconds(100));
  EXPECT_EQ(latency.p99, absl::Microseconds(198));
  EXPECT_EQ(Summarise({absl::Seconds(1)}).p99, absl::Seconds(1));
}

}  // namespace
}  // namespace anywire::examples
