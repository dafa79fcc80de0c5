// The server's side: a folder tree offered as a FileCopy service, and Probe.
#ifndef ANYWIRE_EXAMPLES_FILECOPY_SERVICE_H_
#define ANYWIRE_EXAMPLES_FILECOPY_SERVICE_H_

#include <utility>

#include "absl/status/status.h"
#include "anywire/server_context.h"
#include "anywire/server_streams.h"
#include "anywire/task.h"
#include "examples/filecopy/filecopy.anywire.h"
#include "examples/filecopy/tree_reader.h"

namespace anywire::examples {

constexpr uint32_t kMaxChunkSize = 2 * 1024 * 1024;

class FileCopyService final : public filecopy::FileCopy::BlockingService {
 public:
  explicit FileCopyService(TreeReader tree) : tree_(std::move(tree)) {}

  absl::Status List(ServerContext& context, const filecopy::ListRequest& request,
                    BlockingServerWriter<filecopy::ListReply>& writer) override;
  absl::Status Fetch(ServerContext& context, const filecopy::FetchRequest& request,
                     BlockingServerWriter<filecopy::FetchReply>& writer) override;

 private:
  const TreeReader tree_;
};

class ProbeService final : public filecopy::Probe::Service {
 public:
  Task<absl::Status> Ping(ServerContext& context, const filecopy::PingMessage& request,
                          filecopy::PingMessage* reply) override;
};

}  // namespace anywire::examples

#endif  // ANYWIRE_EXAMPLES_FILECOPY_SERVICE_H_
