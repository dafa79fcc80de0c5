#include "examples/filecopy/copier.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "examples/filecopy/filecopy.anywire.h"
#include "examples/filecopy/sha256.h"
#include "examples/filecopy/tree_writer.h"

namespace anywire::examples {
namespace {

using filecopy::Entry;
using filecopy::FetchReply;
using filecopy::FetchRequest;
using filecopy::FileCopy;
using filecopy::ListReply;
using filecopy::ListRequest;

// Entries that one server may make us remember.
constexpr size_t kMaxEntries = 4'000'000;
constexpr int kAttempts = 3;

absl::Status AtPath(absl::string_view path, const absl::Status& status) {
  return absl::Status(status.code(), absl::StrCat(Readable(path), ": ", status.message()));
}

// Whether a call's status says that the next call would fare no better.
bool EndsTheCopy(absl::StatusCode code) {
  return code == absl::StatusCode::kUnavailable || code == absl::StatusCode::kCancelled ||
         code == absl::StatusCode::kDeadlineExceeded || code == absl::StatusCode::kUnimplemented;
}

class Copy {
 public:
  Copy(const Channel& channel, TreeWriter writer, const CopyOptions& options, Progress& progress)
      : stub_(channel), writer_(std::move(writer)), options_(options), progress_(progress) {}

  absl::StatusOr<CopyResult> Run() {
    const auto start = std::chrono::steady_clock::now();
    if (absl::Status status = List(); !status.ok()) return status;
    MakeFolders();
    FetchFiles();
    const absl::MutexLock lock(&mutex_);
    if (!ended_.ok()) return ended_;
    // Links come after the files, so that no file is written through one; modes last, as a folder
    // may be read-only.
    MakeLinks();
    SetFolderModes();
    result_.time = absl::FromChrono(std::chrono::steady_clock::now() - start);
    return std::move(result_);
  }

 private:
  CallOptions NewCall() const {
    return {.timeout = options_.timeout, .cancellation = &options_.cancellation};
  }

  absl::Status List() {
    ClientReader<ListReply> reader = stub_.List(ListRequest(), NewCall());
    ListReply reply;
    uint64_t bytes = 0;
    while (reader.Read(&reply)) {
      for (const filecopy::Skipped& skipped : reply.skipped()) {
        const absl::MutexLock lock(&mutex_);
        ++result_.skipped;
        Note(absl::FailedPreconditionError(
            absl::StrCat(Readable(skipped.path()), ": skipped by the server: ", skipped.reason())));
      }
      for (Entry& entry : *reply.mutable_entries()) {
        if (folders_.size() + files_.size() + links_.size() == kMaxEntries) {
          return absl::ResourceExhaustedError(
              absl::StrCat("the server lists more than ", kMaxEntries, " entries"));
        }
        if (entry.kind() == Entry::FILE) bytes += entry.size();
        std::vector<Entry>* const list = entry.kind() == Entry::FILE     ? &files_
                                         : entry.kind() == Entry::FOLDER ? &folders_
                                         : entry.kind() == Entry::LINK   ? &links_
                                                                         : nullptr;
        if (list != nullptr) list->push_back(std::move(entry));
      }
    }
    if (absl::Status status = reader.Finish(); !status.ok()) {
      return absl::Status(status.code(), absl::StrCat("cannot list the tree: ", status.message()));
    }
    progress_.Expect(files_.size(), bytes);
    const absl::MutexLock lock(&mutex_);
    result_.listed = files_.size();
    return absl::OkStatus();
  }

  void MakeFolders() {
    for (const Entry& folder : folders_) {
      const absl::Status status = writer_.MakeFolder(folder.path());
      const absl::MutexLock lock(&mutex_);
      if (status.ok()) {
        made_folders_.push_back(&folder);
        ++result_.folders;
      } else {
        Fail(status);
      }
    }
  }

  void FetchFiles() {
    std::vector<std::thread> threads;
    const size_t count = std::min<size_t>(static_cast<size_t>(options_.calls), files_.size());
    for (size_t i = 0; i < count; ++i) {
      threads.emplace_back([this] {
        for (size_t next; !stop_.load() && (next = next_file_.fetch_add(1)) < files_.size();) {
          FetchAndCount(files_[next].path());
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }

  void FetchAndCount(const std::string& path) {
    bool ends_the_copy = false;
    absl::StatusOr<uint64_t> size = absl::AbortedError("");
    for (int attempt = 0; absl::IsAborted(size.status()) && attempt < kAttempts; ++attempt) {
      size = Fetch(path, &ends_the_copy);
    }
    progress_.AddFile();
    const absl::MutexLock lock(&mutex_);
    if (size.ok()) {
      ++result_.files;
      result_.bytes += *size;
      return;
    }
    Fail(size.status());
    if (!ends_the_copy) return;
    stop_.store(true);
    if (ended_.ok()) ended_ = size.status();
  }

  // The size of the file, now in place; or a status that names it.
  absl::StatusOr<uint64_t> Fetch(const std::string& path, bool* ends_the_copy) {
    absl::StatusOr<TreeWriter::File> file = writer_.CreateFile(path);
    if (!file.ok()) return file.status();
    FetchRequest request;
    request.set_path(path);
    request.set_chunk_size(options_.chunk_size);
    ClientReader<FetchReply> reader = stub_.Fetch(request, NewCall());
    Sha256 sha256;
    uint64_t size = 0;
    FetchReply reply;
    while (!reply.has_end() && reader.Read(&reply)) {
      sha256.Update(reply.data());
      size += reply.data().size();
      progress_.AddBytes(reply.data().size());
      if (absl::Status status = file->Write(reply.data()); !status.ok()) {
        *ends_the_copy = true;  // a full or broken disk
        return status;
      }
    }
    if (absl::Status status = reader.Finish(); !status.ok()) {
      *ends_the_copy = EndsTheCopy(status.code());
      return AtPath(path, status);
    }
    absl::StatusOr<std::string> digest = sha256.Finish();
    if (!digest.ok()) return AtPath(path, digest.status());
    if (reply.end().size() != size || reply.end().sha256() != *digest) {
      return AtPath(path,
                    absl::DataLossError("what arrived is not what the server's SHA-256 says"));
    }
    {
      const absl::MutexLock lock(&mutex_);
      ++result_.verified;
    }
    if (absl::Status status = file->Commit(reply.end().mode()); !status.ok()) return status;
    return size;
  }

  void MakeLinks() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    for (const Entry& link : links_) {
      if (absl::Status status = writer_.MakeLink(link.path(), link.link_target()); status.ok()) {
        ++result_.links;
      } else {
        Fail(status);
      }
    }
  }

  void SetFolderModes() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    // What is inside before what it is in.
    for (auto folder = made_folders_.rbegin(); folder != made_folders_.rend(); ++folder) {
      const absl::Status status = writer_.SetMode((*folder)->path(), (*folder)->mode());
      if (!status.ok()) Fail(status);
    }
  }

  void Fail(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    ++result_.failed;
    Note(status);
  }
  void Note(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (result_.problems.size() < CopyResult::kMaxProblems) result_.problems.push_back(status);
  }

  const FileCopy::Stub stub_;
  const TreeWriter writer_;
  const CopyOptions& options_;
  Progress& progress_;
  // Written before the threads start.
  std::vector<Entry> folders_;
  std::vector<Entry> files_;
  std::vector<Entry> links_;
  std::vector<const Entry*> made_folders_;

  std::atomic<size_t> next_file_{0};
  std::atomic<bool> stop_{false};
  absl::Mutex mutex_;
  CopyResult result_ ABSL_GUARDED_BY(mutex_);
  absl::Status ended_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

absl::StatusOr<CopyResult> CopyTree(const Channel& channel, const std::string& destination,
                                    const CopyOptions& options, Progress& progress) {
  if (!channel.status().ok()) return channel.status();
  absl::StatusOr<TreeWriter> writer = TreeWriter::Open(destination);
  if (!writer.ok()) return writer.status();
  return Copy(channel, *std::move(writer), options, progress).Run();
}

}  // namespace anywire::examples
