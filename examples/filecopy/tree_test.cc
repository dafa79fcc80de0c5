// Reading and writing trees: what is refused, what is kept, and what an error says.
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "examples/filecopy/beneath.h"
#include "examples/filecopy/sha256.h"
#include "examples/filecopy/tree_reader.h"
#include "examples/filecopy/tree_writer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace anywire::examples {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class Lines final : public TreeReader::Visitor {
 public:
  bool Found(TreeReader::Entry entry) override {
    const char* const kinds[] = {"file", "folder", "link"};
    found.push_back(absl::StrCat(kinds[static_cast<int>(entry.kind)], " ", entry.path));
    entries.push_back(std::move(entry));
    return found.size() < stop_after;
  }
  bool Skipped(std::string path, std::string reason) override {
    skipped.push_back(absl::StrCat(path, ": ", reason));
    return true;
  }
  size_t stop_after = 1'000'000;
  std::vector<std::string> found;
  std::vector<TreeReader::Entry> entries;
  std::vector<std::string> skipped;
};

class TreeTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/tree-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
  }
  void TearDown() override {
    ASSERT_EQ(system(absl::StrCat("chmod -R u+rwx ", root_, " && rm -rf ", root_).c_str()), 0);
  }
  std::string Path(absl::string_view name) const { return absl::StrCat(root_, "/", name); }
  void Put(absl::string_view name, absl::string_view text) const {
    std::ofstream(Path(name), std::ios::binary) << std::string(text);
  }
  void Folder(absl::string_view name) const { ASSERT_EQ(mkdir(Path(name).c_str(), 0755), 0); }
  std::string Get(absl::string_view name) const {
    std::ifstream file(Path(name), std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }
  mode_t Mode(absl::string_view name) const {
    struct stat info {};
    EXPECT_EQ(lstat(Path(name).c_str(), &info), 0);
    return info.st_mode;
  }
  Lines Walk() const {
    Lines lines;
    TreeReader::Open(root_)->Walk(lines);
    return lines;
  }
  static std::string ReadAll(TreeReader::File& file, size_t chunk) {
    std::string all;
    std::string buffer(chunk, '\0');
    while (true) {
      const absl::StatusOr<size_t> got = file.Read(absl::MakeSpan(buffer));
      EXPECT_TRUE(got.ok()) << got.status();
      if (!got.ok()) return all;
      all.append(buffer, 0, *got);
      if (*got < chunk) return all;
    }
  }
  absl::Status OpenStatus(absl::string_view path) const {
    return TreeReader::Open(root_)->OpenFile(path).status();
  }
  absl::StatusOr<TreeWriter::File> Create(absl::string_view path) const {
    return TreeWriter::Open(root_)->CreateFile(path);
  }
  std::string root_;
};

TEST(RelativePath, HasOnlyPlainNames) {
  for (absl::string_view good : {"a", "a/b", "...", "a/..b", " ", "\xff\n", "a\\..\\b"}) {
    EXPECT_TRUE(CheckRelativePath(good).ok()) << good;
  }
  for (absl::string_view bad :
       {"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/..", "a/../b", "./a", "a/./b"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(CheckRelativePath(bad))) << bad;
  }
  EXPECT_TRUE(absl::IsInvalidArgument(CheckRelativePath(absl::string_view("a\0b", 3))));
}

TEST(RelativePath, HasALimit) {
  EXPECT_TRUE(CheckRelativePath(std::string(kMaxPathSize - 1, 'a')).ok());
  EXPECT_TRUE(CheckRelativePath(std::string(kMaxPathSize, 'a')).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(CheckRelativePath(std::string(kMaxPathSize + 1, 'a'))));
}

TEST(Sha256Test, IsThatOfFips180) {
  Sha256 sha256;
  sha256.Update("a");
  sha256.Update("");
  sha256.Update("bc");
  EXPECT_EQ(absl::BytesToHexString(*sha256.Finish()),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_F(TreeTest, WalksFoldersBeforeTheirContentsInByteOrder) {
  Folder("b");
  Folder("b/empty");
  Folder("a");
  Put("a/2", "");
  Put("a/1", "");
  Put("b.txt", "");
  Put("b/\xff odd\n", "");
  const Lines lines = Walk();
  EXPECT_THAT(lines.found, ElementsAre("folder a", "folder b", "file b.txt", "file a/1", "file a/2",
                                       "folder b/empty", "file b/\xff odd\n"));
  EXPECT_THAT(lines.skipped, IsEmpty());
}

TEST_F(TreeTest, WalksFoldersDeeperThanPathsMayBeLong) {
  const std::string name(100, 'd');
  std::string path = name;
  const absl::StatusOr<TreeWriter> writer = TreeWriter::Open(root_);
  while (path.size() <= 2 * PATH_MAX) {
    ASSERT_TRUE(writer->MakeFolder(path).ok());
    absl::StrAppend(&path, "/", name);
  }
  EXPECT_EQ(Walk().found.size(), (path.size() + 1) / 101 - 1);
}

TEST_F(TreeTest, StopsWalkingWhenTold) {
  for (int i = 0; i < 10; ++i) Put(absl::StrCat(i), "");
  Lines lines;
  lines.stop_after = 3;
  TreeReader::Open(root_)->Walk(lines);
  EXPECT_EQ(lines.found.size(), 3u);
}

TEST_F(TreeTest, ListsLinksAsTheyStandAndFollowsNone) {
  Folder("inside");
  ASSERT_EQ(symlink("/etc", Path("out").c_str()), 0);
  ASSERT_EQ(symlink("inside", Path("in").c_str()), 0);
  ASSERT_EQ(symlink(".", Path("self").c_str()), 0);
  const Lines lines = Walk();
  EXPECT_THAT(lines.found, ElementsAre("link in", "folder inside", "link out", "link self"));
  EXPECT_EQ(lines.entries[2].link_target, "/etc");
}

TEST_F(TreeTest, SkipsWhatIsNoFileFolderOrLink) {
  ASSERT_EQ(mkfifo(Path("pipe").c_str(), 0600), 0);
  ASSERT_EQ(mknod(Path("s").c_str(), S_IFSOCK | 0600, 0), 0);
  const Lines lines = Walk();
  EXPECT_THAT(lines.found, IsEmpty());
  EXPECT_THAT(lines.skipped, ElementsAre(HasSubstr("pipe: neither"), HasSubstr("s: neither")));
  EXPECT_TRUE(absl::IsFailedPrecondition(OpenStatus("pipe")));
  EXPECT_TRUE(absl::IsFailedPrecondition(OpenStatus("s")));
}

TEST_F(TreeTest, OpensNothingOutsideTheRoot) {
  Folder("served");
  Put("secret", "secret");
  Folder("served/sub");
  ASSERT_EQ(symlink("..", Path("served/up").c_str()), 0);
  ASSERT_EQ(symlink("../secret", Path("served/link").c_str()), 0);
  const absl::StatusOr<TreeReader> tree = TreeReader::Open(Path("served"));
  EXPECT_TRUE(absl::IsInvalidArgument(tree->OpenFile("../secret").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(tree->OpenFile("sub/../../secret").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(tree->OpenFile(Path("secret")).status()));
  EXPECT_TRUE(absl::IsPermissionDenied(tree->OpenFile("up/secret").status()));
  EXPECT_TRUE(absl::IsPermissionDenied(tree->OpenFile("link").status()));
  EXPECT_THAT(std::string(tree->OpenFile("up/secret").status().message()), HasSubstr("up/secret"));
}

TEST_F(TreeTest, SaysWhyAFileCannotBeOpened) {
  Folder("folder");
  Put("file", "");
  EXPECT_TRUE(absl::IsNotFound(OpenStatus("missing")));
  EXPECT_THAT(std::string(OpenStatus("missing").message()), HasSubstr("missing"));
  EXPECT_TRUE(absl::IsFailedPrecondition(OpenStatus("folder")));
  EXPECT_FALSE(OpenStatus("file/below").ok());
  EXPECT_TRUE(absl::IsNotFound(TreeReader::Open(Path("nowhere")).status()));
}

TEST_F(TreeTest, ReadsFilesOfEverySizeAroundTheChunk) {
  for (size_t size : {0u, 1u, 7u, 8u, 9u, 15u, 16u, 17u}) {
    const std::string text(size, 'x');
    Put("file", text);
    absl::StatusOr<TreeReader::File> file = TreeReader::Open(root_)->OpenFile("file");
    ASSERT_TRUE(file.ok());
    EXPECT_EQ(file->size(), size);
    EXPECT_EQ(ReadAll(*file, 8), text);
  }
}

TEST_F(TreeTest, NoticesThatAFileChangesWhileItIsRead) {
  const auto read_with = [this](auto change) {
    Put("file", std::string(16, 'x'));
    absl::StatusOr<TreeReader::File> file = TreeReader::Open(root_)->OpenFile("file");
    std::string buffer(10, '\0');
    EXPECT_EQ(*file->Read(absl::MakeSpan(buffer)), 10u);
    change();
    return file->Read(absl::MakeSpan(buffer)).status();
  };
  EXPECT_TRUE(read_with([] {}).ok());
  EXPECT_TRUE(absl::IsAborted(read_with([this] { Put("file", "short"); })));
  EXPECT_TRUE(absl::IsAborted(read_with([this] { Put("file", std::string(99, 'y')); })));
  EXPECT_TRUE(absl::IsAborted(read_with([this] {
    Put("file", std::string(16, 'y'));
    const timespec later[] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT}, {.tv_sec = 9, .tv_nsec = 0}};
    utimensat(AT_FDCWD, Path("file").c_str(), later, 0);
  })));
  // Gone from its folder, but not from us.
  EXPECT_TRUE(read_with([this] { unlink(Path("file").c_str()); }).ok());
}

TEST_F(TreeTest, PutsAFileInPlaceWholeOrNotAtAll) {
  Put("file", "old");
  {
    absl::StatusOr<TreeWriter::File> file = Create("file");
    ASSERT_TRUE(file.ok());
    ASSERT_TRUE(file->Write("half of the ne").ok());
    EXPECT_EQ(Get("file"), "old");
  }
  EXPECT_THAT(Walk().found, ElementsAre("file file"));
  absl::StatusOr<TreeWriter::File> file = Create("file");
  ASSERT_TRUE(file->Write("new").ok());
  ASSERT_TRUE(file->Commit(0640).ok());
  EXPECT_EQ(Get("file"), "new");
  EXPECT_THAT(Walk().found, ElementsAre("file file"));
}

TEST_F(TreeTest, SetsModesWhateverTheUmask) {
  const mode_t before = umask(0777);
  const absl::StatusOr<TreeWriter> writer = TreeWriter::Open(root_);
  EXPECT_TRUE(writer->MakeFolder("folder").ok());
  umask(before);
  EXPECT_TRUE(writer->SetMode("folder", 0751).ok());
  EXPECT_EQ(Mode("folder"), mode_t{S_IFDIR | 0751});
  // No more than permissions, whoever asks.
  EXPECT_TRUE(Create("file")->Commit(04777).ok());
  EXPECT_EQ(Mode("file"), mode_t{S_IFREG | 0777});
}

TEST_F(TreeTest, KeepsAFolderThatIsThereButNoFileInItsPlace) {
  const absl::StatusOr<TreeWriter> writer = TreeWriter::Open(root_);
  Folder("folder");
  Put("folder/file", "kept");
  EXPECT_TRUE(writer->MakeFolder("folder").ok());
  EXPECT_EQ(Get("folder/file"), "kept");
  EXPECT_FALSE(writer->MakeFolder("folder/file").ok());
  const absl::Status status = writer->CreateFile("folder")->Commit(0644);
  EXPECT_THAT(std::string(status.message()), HasSubstr("folder: cannot put it in its place"));
}

TEST_F(TreeTest, WritesThroughNoLink) {
  Folder("outside");
  Folder("into");
  const absl::StatusOr<TreeWriter> writer = TreeWriter::Open(Path("into"));
  ASSERT_TRUE(writer->MakeLink("link", "../outside").ok());
  EXPECT_TRUE(absl::IsPermissionDenied(writer->CreateFile("link/file").status()));
  EXPECT_TRUE(absl::IsPermissionDenied(writer->MakeFolder("link/folder")));
  EXPECT_TRUE(absl::IsPermissionDenied(writer->MakeFolder("link")));
  EXPECT_TRUE(absl::IsPermissionDenied(writer->SetMode("link", 0777)));
  EXPECT_TRUE(absl::IsInvalidArgument(writer->CreateFile("../outside/file").status()));
  // A file takes the link's place and not that of what it points to.
  EXPECT_TRUE(writer->CreateFile("link")->Commit(0644).ok());
  EXPECT_EQ(Mode("into/link"), mode_t{S_IFREG | 0644});
}

TEST_F(TreeTest, ReplacesALink) {
  const absl::StatusOr<TreeWriter> writer = TreeWriter::Open(root_);
  EXPECT_TRUE(writer->MakeLink("link", "one").ok());
  EXPECT_TRUE(writer->MakeLink("link", "two").ok());
  const Lines lines = Walk();
  EXPECT_THAT(lines.found, ElementsAre("link link"));
  EXPECT_EQ(lines.entries[0].link_target, "two");
}

TEST_F(TreeTest, NamesAreReadableInErrors) {
  EXPECT_THAT(std::string(OpenStatus("bad\n\xff").message()), HasSubstr("bad\\n\\377"));
}

}  // namespace
}  // namespace anywire::examples
