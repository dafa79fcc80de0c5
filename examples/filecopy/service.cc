#include "examples/filecopy/service.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "examples/filecopy/sha256.h"

namespace anywire::examples {
namespace {

using filecopy::Entry;
using filecopy::FetchReply;
using filecopy::FetchRequest;
using filecopy::ListReply;
using filecopy::ListRequest;

absl::Status ClientGone() { return absl::CancelledError("the client takes no more"); }

Entry::Kind WireKind(TreeReader::Kind kind) {
  switch (kind) {
    case TreeReader::Kind::kFile:
      return Entry::FILE;
    case TreeReader::Kind::kFolder:
      return Entry::FOLDER;
    case TreeReader::Kind::kLink:
      return Entry::LINK;
  }
  return Entry::KIND_UNSPECIFIED;
}

// Sends what a walk finds, in messages of moderate size.
class ListSender final : public TreeReader::Visitor {
 public:
  explicit ListSender(BlockingServerWriter<ListReply>& writer) : writer_(writer) {}

  bool Found(TreeReader::Entry entry) override {
    Entry& out = *batch_.add_entries();
    batch_size_ += entry.path.size() + entry.link_target.size();
    out.set_path(std::move(entry.path));
    out.set_kind(WireKind(entry.kind));
    out.set_mode(entry.mode);
    out.set_size(entry.size);
    out.set_link_target(std::move(entry.link_target));
    return SendIfFull();
  }
  bool Skipped(std::string path, std::string reason) override {
    filecopy::Skipped& out = *batch_.add_skipped();
    batch_size_ += path.size() + reason.size();
    out.set_path(std::move(path));
    out.set_reason(std::move(reason));
    return SendIfFull();
  }
  absl::Status Finish() {
    if (going_ && batch_size_ > 0) Send();
    return going_ ? absl::OkStatus() : ClientGone();
  }

 private:
  static constexpr int kMaxBatchEntries = 256;
  static constexpr size_t kMaxBatchSize = 64 * 1024;

  bool SendIfFull() {
    if (batch_.entries_size() + batch_.skipped_size() >= kMaxBatchEntries ||
        batch_size_ >= kMaxBatchSize) {
      Send();
    }
    return going_;
  }
  void Send() {
    going_ = writer_.Write(batch_);
    batch_.Clear();
    batch_size_ = 0;
  }

  BlockingServerWriter<ListReply>& writer_;
  ListReply batch_;
  size_t batch_size_ = 0;  // of its strings
  bool going_ = true;
};

}  // namespace

absl::Status FileCopyService::List(ServerContext& /*context*/, const ListRequest& /*request*/,
                                   BlockingServerWriter<ListReply>& writer) {
  ListSender sender(writer);
  tree_.Walk(sender);
  return sender.Finish();
}

absl::Status FileCopyService::Fetch(ServerContext& /*context*/, const FetchRequest& request,
                                    BlockingServerWriter<FetchReply>& writer) {
  if (request.chunk_size() == 0 || request.chunk_size() > kMaxChunkSize) {
    return absl::InvalidArgumentError(absl::StrCat("a chunk size of ", request.chunk_size(),
                                                   "; allowed are 1 to ", kMaxChunkSize));
  }
  absl::StatusOr<TreeReader::File> file = tree_.OpenFile(request.path());
  if (!file.ok()) return file.status();
  Sha256 sha256;
  FetchReply reply;
  // One byte more than the file has, so that its end shows in the read that takes its last bytes.
  const uint64_t wanted = std::min<uint64_t>(request.chunk_size(), file->size() + 1);
  std::string& data = *reply.mutable_data();
  while (true) {
    data.resize(wanted);
    absl::StatusOr<size_t> got = file->Read(absl::MakeSpan(data));
    if (!got.ok()) return got.status();
    data.resize(*got);
    sha256.Update(data);
    if (*got < wanted) break;
    if (!writer.Write(reply)) return ClientGone();
  }
  absl::StatusOr<std::string> digest = sha256.Finish();
  if (!digest.ok()) return digest.status();
  reply.mutable_end()->set_sha256(*std::move(digest));
  reply.mutable_end()->set_size(file->size());
  reply.mutable_end()->set_mode(file->mode());
  return writer.Write(reply) ? absl::OkStatus() : ClientGone();
}

Task<absl::Status> ProbeService::Ping(ServerContext& /*context*/,
                                      const filecopy::PingMessage& request,
                                      filecopy::PingMessage* reply) {
  *reply = request;
  co_return absl::OkStatus();
}

}  // namespace anywire::examples
