// filecopy: see options.cc for its flags, README.md for a tour.
#include <stdio.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "anywire/builtin.h"
#include "anywire/channel.h"
#include "anywire/registry.h"
#include "anywire/runtime.h"
#include "anywire/server.h"
#include "examples/filecopy/copier.h"
#include "examples/filecopy/interrupt.h"
#include "examples/filecopy/options.h"
#include "examples/filecopy/probe.h"
#include "examples/filecopy/service.h"

namespace anywire::examples {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitUsage = 2;

int Fail(const absl::Status& status, int exit_code) {
  absl::FPrintF(stderr, "filecopy: %s: %s\n", absl::StatusCodeToString(status.code()),
                status.message());
  return exit_code;
}

void Print(absl::string_view name, const Latency& latency) {
  absl::PrintF("%s p50: %.1f us\n%s p99: %.1f us (%d calls)\n", name,
               absl::ToDoubleMicroseconds(latency.p50), name,
               absl::ToDoubleMicroseconds(latency.p99), latency.calls);
}

void Print(const CopyResult& result) {
  const double seconds = absl::ToDoubleSeconds(result.time);
  absl::PrintF("listed: %d\nfiles: %d\nverified: %d\nbytes: %d\n", result.listed, result.files,
               result.verified, result.bytes);
  absl::PrintF("folders: %d\nlinks: %d\nskipped: %d\nfailed: %d\n", result.folders, result.links,
               result.skipped, result.failed);
  absl::PrintF("seconds: %.3f\nMB/s: %.1f\n", seconds,
               static_cast<double>(result.bytes) / 1e6 / seconds);
}

int Copy(const Options& options, const CancellationToken& cancellation) {
  const Channel channel(options.service);
  if (!channel.status().ok()) return Fail(channel.status(), kExitUsage);
  CopyOptions copy = options.copy;
  copy.cancellation = cancellation;

  auto busy = std::make_unique<BackgroundProbe>(channel);
  absl::StatusOr<CopyResult> result = absl::UnknownError("");
  {
    Progress progress(options.progress);
    result = CopyTree(channel, options.into, copy, progress);
  }
  const Latency while_copying = busy->Stop();
  if (!result.ok()) return Fail(result.status(), kExitFailed);
  for (const absl::Status& problem : result->problems) Fail(problem, kExitFailed);
  if (const uint64_t all = result->failed + result->skipped; all > result->problems.size()) {
    absl::FPrintF(stderr, "filecopy: and %d more\n", all - result->problems.size());
  }
  Print(*result);
  Print("small call while copying", while_copying);
  if (options.probe > 0) {
    absl::StatusOr<Latency> latency = ProbeCalls(channel, options.probe);
    if (!latency.ok()) return Fail(latency.status(), kExitFailed);
    Print("small call", *latency);
  }
  return result->failed == 0 ? 0 : kExitFailed;
}

int ServeOrBoth(const Options& options, const InterruptCancellation* interrupt) {
  absl::StatusOr<TreeReader> tree = TreeReader::Open(options.root);
  if (!tree.ok()) return Fail(tree.status(), kExitUsage);
  FileCopyService files(*std::move(tree));
  ProbeService probe;
  Server server(options.service);
  server.AddService(&files);
  server.AddService(&probe);
  if (absl::Status status = server.Start(); !status.ok()) return Fail(status, kExitUsage);
  if (interrupt == nullptr) {
    absl::PrintF("serving %s on %s\n", options.root, absl::StrJoin(server.addresses(), " "));
    fflush(stdout);
    return server.Run();
  }
  const int exit_code = Copy(options, interrupt->token());
  server.Shutdown();
  server.Wait();
  return exit_code;
}

int ListTransports(const std::string& scratch) {
  TransportRegistry registry;
  RegisterBuiltinTransports(registry);
  for (Transport* transport : registry.transports()) {
    // Opened once and closed again, so that the system has chosen what it chooses: a port.
    Server server;
    server.Listen(absl::StrCat(transport->scheme(), "://", transport->FreshAddress(scratch)));
    if (absl::Status status = server.Start(); !status.ok()) return Fail(status, kExitFailed);
    absl::PrintF("%s %s\n", transport->scheme(), server.addresses().at(0));
  }
  return 0;
}

int Main(int argc, char** argv) {
  // The runtime takes its own flag out first; threads start later, with the first channel or
  // server.
  Init(argc, argv);
  absl::StatusOr<Options> options = ParseOptions(argc, argv);
  if (!options.ok()) return Fail(options.status(), kExitUsage);
  switch (options->role) {
    case Options::Role::kHelp:
      absl::PrintF("%s", kUsage);
      return 0;
    case Options::Role::kListTransports:
      return ListTransports(options->scratch);
    case Options::Role::kServer:
      return ServeOrBoth(*options, nullptr);
    case Options::Role::kClient: {
      const InterruptCancellation interrupt;
      return Copy(*options, interrupt.token());
    }
    case Options::Role::kBoth: {
      const InterruptCancellation interrupt;
      return ServeOrBoth(*options, &interrupt);
    }
  }
  return kExitUsage;
}

}  // namespace
}  // namespace anywire::examples

int main(int argc, char** argv) { return anywire::examples::Main(argc, argv); }
