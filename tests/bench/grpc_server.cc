#include "tests/bench/grpc_server.h"

#include <grpcpp/alarm.h>

#include <chrono>
#include <thread>

#include "tests/bench/bench.grpc.pb.h"

namespace anywire::bench {
namespace {

class SyncBench final : public Bench::Service {
 public:
  grpc::Status Echo(grpc::ServerContext* /*context*/, const EchoMessage* request,
                    EchoMessage* reply) override {
    reply->set_payload(request->payload());
    return grpc::Status::OK;
  }
  grpc::Status Chat(grpc::ServerContext* /*context*/,
                    grpc::ServerReaderWriter<EchoMessage, EchoMessage>* stream) override {
    EchoMessage message;
    while (stream->Read(&message)) {
      if (!stream->Write(message)) break;
    }
    return grpc::Status::OK;
  }
  grpc::Status Upload(grpc::ServerContext* /*context*/, grpc::ServerReader<EchoMessage>* reader,
                      UploadSummary* summary) override {
    EchoMessage message;
    uint64_t messages = 0;
    while (reader->Read(&message)) ++messages;
    summary->set_messages(messages);
    return grpc::Status::OK;
  }
};

class SyncWork final : public Work::Service {
 public:
  grpc::Status Do(grpc::ServerContext* /*context*/, const EchoMessage* request,
                  EchoMessage* reply) override {
    if (request->delay_us() > 0) {
      std::this_thread::sleep_for(std::chrono::microseconds(request->delay_us()));
    }
    reply->set_payload(request->payload());
    return grpc::Status::OK;
  }
};

class CallbackBench final : public Bench::CallbackService {
 public:
  grpc::ServerUnaryReactor* Echo(grpc::CallbackServerContext* context, const EchoMessage* request,
                                 EchoMessage* reply) override {
    reply->set_payload(request->payload());
    grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

  grpc::ServerBidiReactor<EchoMessage, EchoMessage>* Chat(
      grpc::CallbackServerContext* /*context*/) override {
    class Reactor final : public grpc::ServerBidiReactor<EchoMessage, EchoMessage> {
     public:
      Reactor() { StartRead(&message_); }
      void OnReadDone(bool ok) override {
        if (ok) {
          StartWrite(&message_);
        } else {
          Finish(grpc::Status::OK);
        }
      }
      void OnWriteDone(bool ok) override {
        if (ok) {
          StartRead(&message_);
        } else {
          Finish(grpc::Status::CANCELLED);
        }
      }
      void OnDone() override { delete this; }

     private:
      EchoMessage message_;
    };
    return new Reactor;
  }

  grpc::ServerReadReactor<EchoMessage>* Upload(grpc::CallbackServerContext* /*context*/,
                                               UploadSummary* summary) override {
    class Reactor final : public grpc::ServerReadReactor<EchoMessage> {
     public:
      explicit Reactor(UploadSummary* summary) : summary_(summary) { StartRead(&message_); }
      void OnReadDone(bool ok) override {
        if (ok) {
          ++messages_;
          StartRead(&message_);
        } else {
          summary_->set_messages(messages_);
          Finish(grpc::Status::OK);
        }
      }
      void OnDone() override { delete this; }

     private:
      UploadSummary* const summary_;
      EchoMessage message_;
      uint64_t messages_ = 0;
    };
    return new Reactor(summary);
  }
};

class CallbackWork final : public Work::CallbackService {
 public:
  grpc::ServerUnaryReactor* Do(grpc::CallbackServerContext* /*context*/, const EchoMessage* request,
                               EchoMessage* reply) override {
    class Reactor final : public grpc::ServerUnaryReactor {
     public:
      explicit Reactor(uint32_t delay_us) {
        if (delay_us == 0) {
          Finish(grpc::Status::OK);
          return;
        }
        alarm_.Set(std::chrono::system_clock::now() + std::chrono::microseconds(delay_us),
                   [this](bool) { Finish(grpc::Status::OK); });
      }
      void OnDone() override { delete this; }

     private:
      grpc::Alarm alarm_;
    };
    reply->set_payload(request->payload());
    return new Reactor(request->delay_us());
  }
};

template <typename BenchService, typename WorkService>
class Pair final : public GrpcServices {
 public:
  void Register(grpc::ServerBuilder& builder) override {
    builder.RegisterService(&bench_);
    builder.RegisterService(&work_);
  }

 private:
  BenchService bench_;
  WorkService work_;
};

}  // namespace

std::unique_ptr<GrpcServices> MakeSyncGrpcServices() {
  return std::make_unique<Pair<SyncBench, SyncWork>>();
}

std::unique_ptr<GrpcServices> MakeCallbackGrpcServices() {
  return std::make_unique<Pair<CallbackBench, CallbackWork>>();
}

}  // namespace anywire::bench
