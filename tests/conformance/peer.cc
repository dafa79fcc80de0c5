#include "tests/conformance/peer.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace anywire::test {
namespace {

constexpr char kFlag[] = "--conformance_peer";

void Print(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

// Arguments: the flag, "server", address, form, configuration.
int RunServer(const std::string& address, ServerForm form, const std::string& config) {
  // The test kills a process; this one has handlers that wait for its word, so it ends without
  // destructors.
  auto& runtime = *MakeRuntime(MakeRegistry(), config).release();
  auto& probe = *new Probe;
  probe.OnStart([](ServerContext&) { Print("started"); });
  CoroutineConformance coroutine(probe);
  BlockingConformance blocking(probe);
  Server server(runtime);
  server.Listen(address);
  if (form == ServerForm::kCoroutine) {
    server.AddService(&coroutine);
  } else {
    server.AddService(&blocking);
  }
  std::thread([&server] {
    while (server.addresses().empty()) std::this_thread::yield();
    Print("listening");
  }).detach();
  std::thread([&probe] {
    std::string line;
    while (std::getline(std::cin, line)) {
      if (line == "release") probe.release.Open();
    }
  }).detach();
  const int code = server.Run();
  Print("ended");
  std::_Exit(code);
}

Request Holding(std::vector<uint32_t> reply_sizes) {
  Request request = MakeRequest(1, 10, std::move(reply_sizes));
  request.set_hold(Request::CANCELLATION);
  return request;
}

[[noreturn]] void StayUntilKilled() {
  for (;;) pause();
}

int RunClient(const std::string& address, ClientStage stage) {
  Runtime runtime(MakeRegistry());
  const Channel channel(runtime, address);
  const Conformance::Stub stub(channel);
  Reply reply;
  switch (stage) {
    case ClientStage::kUnary:
      Print("reached");
      static_cast<void>(stub.Unary(Holding({})));
      return 1;
    case ClientStage::kUpload: {
      auto writer = stub.Upload();
      if (!writer.Write(MakeRequest(1, 10))) return 1;
      Print("reached");
      StayUntilKilled();
    }
    case ClientStage::kBlocked: {
      auto reader = stub.Download(MakeRequest(1, 10, std::vector<uint32_t>(2000, 8000)));
      if (!reader.Read(&reply)) return 1;
      Print("reached");
      StayUntilKilled();
    }
    case ClientStage::kChat:
    case ClientStage::kDropped: {
      auto stream = stub.Chat();
      if (!stream.Write(Holding({100})) || !stream.Read(&reply)) return 1;
      if (stage == ClientStage::kDropped) stream.Cancel();
      Print("reached");
      StayUntilKilled();
    }
  }
  return 1;
}

}  // namespace

bool IsPeer(int argc, char** argv) { return argc == 6 && argv[1] == std::string(kFlag); }

int RunPeer(int, char** argv) {
  const std::string role = argv[2];
  int choice = 0;
  if (!absl::SimpleAtoi(argv[4], &choice)) return 1;
  if (role == "server") return RunServer(argv[3], static_cast<ServerForm>(choice), argv[5]);
  return RunClient(argv[3], static_cast<ClientStage>(choice));
}

std::unique_ptr<ChildProcess> StartServerPeer(const std::string& address, ServerForm form,
                                              const std::string& runtime_config) {
  const std::string config = absl::StrCat("runtime { ", runtime_config, " }");
  return std::make_unique<ChildProcess>(
      ChildProcess::Self(), std::vector<std::string>{kFlag, "server", address,
                                                     absl::StrCat(static_cast<int>(form)), config});
}

std::unique_ptr<ChildProcess> StartClientPeer(const std::string& address, ClientStage stage) {
  return std::make_unique<ChildProcess>(
      ChildProcess::Self(), std::vector<std::string>{kFlag, "client", address,
                                                     absl::StrCat(static_cast<int>(stage)), ""});
}

}  // namespace anywire::test
