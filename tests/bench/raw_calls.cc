#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <mutex>
#include <thread>
#include <vector>

#include "tests/bench/protobuf_work.h"
#include "tests/bench/raw_floors.h"
#include "tests/bench/raw_socket.h"

namespace anywire::bench {
namespace {

constexpr size_t kHeaderSize = sizeof(FrameHeader);
// What a stream up is read with: as much as stays in a core's cache.
constexpr size_t kUploadBuffer = 256 << 10;
// What a stream both ways collects before it writes.
constexpr size_t kChatBuffer = 32 << 10;

bool Spins(const Parameters& parameters) {
  const std::string wait = parameters.Text("wait", "block");
  if (wait != "block" && wait != "spin") Die("no such way to wait: " + wait);
  return wait == "spin";
}

void PutHeader(const FrameHeader& header, char* place) { memcpy(place, &header, sizeof header); }

// Appends a message with its header.
void AppendCall(const EchoMessage& message, uint32_t number, std::string* out) {
  const size_t begin = out->size();
  AppendSerialised(message, kHeaderSize, out);
  PutHeader({FrameKind::kCall, static_cast<uint32_t>(out->size() - begin - kHeaderSize), number},
            out->data() + begin);
}

// ---- the server

void TakeUpload(RawConnection& connection) {
  connection.Write("!");  // now bytes may come
  std::string buffer(kUploadBuffer, 0);
  uint64_t total = 0;
  while (const size_t got = connection.Read(buffer.data(), buffer.size())) total += got;
  connection.Write({reinterpret_cast<const char*>(&total), sizeof total});
}

void ServeConnection(RawConnection& connection) {
  FrameReader reader(connection);
  std::string replies;
  while (reader.Fill()) {
    FrameHeader header;
    absl::string_view frame;
    while (reader.Next(&header, &frame)) {
      if (header.kind == FrameKind::kUpload) return TakeUpload(connection);
      if (header.kind == FrameKind::kEcho) {
        connection.Write(frame);
        continue;
      }
      const size_t begin = replies.size();
      AnswerEcho(frame.substr(kHeaderSize), kHeaderSize, &replies);
      header.size = static_cast<uint32_t>(replies.size() - begin - kHeaderSize);
      PutHeader(header, replies.data() + begin);
    }
    if (!replies.empty()) connection.Write(replies);
    replies.clear();
  }
}

// ---- the client

// The connection that a thread's waiting calls use, and whose it is.
struct OwnConnection {
  uint64_t client = 0;
  std::unique_ptr<RawConnection> connection;
};
thread_local OwnConnection own;

// Many calls on one connection.
class Pipeline {
 public:
  explicit Pipeline(std::unique_ptr<RawConnection> connection)
      : connection_(std::move(connection)), reader_([this] { Read(); }) {}
  ~Pipeline() {
    connection_->Shutdown();
    reader_.join();
  }

  void Start(RepeatedCall& call) {
    uint32_t number;
    {
      const std::lock_guard lock(calls_mutex_);
      if (free_numbers_.empty()) {
        number = static_cast<uint32_t>(calls_.size());
        calls_.push_back(&call);
      } else {
        number = free_numbers_.back();
        free_numbers_.pop_back();
        calls_[number] = &call;
      }
    }
    thread_local std::string out;
    out.clear();
    AppendCall(call.request(), number, &out);
    Send(out);
  }

 private:
  // Writes, or leaves it to the thread that is writing: the reader must go on reading while another
  // thread waits for room, or both sides wait for each other.
  void Send(absl::string_view bytes) {
    std::unique_lock lock(out_mutex_);
    out_.append(bytes.data(), bytes.size());
    if (writing_) return;
    writing_ = true;
    while (!out_.empty()) {
      std::swap(out_, written_);
      lock.unlock();
      connection_->Write(written_);
      written_.clear();
      lock.lock();
    }
    writing_ = false;
  }

  void Read() {
    FrameReader reader(*connection_);
    std::string again;
    while (reader.Fill()) {
      {
        FrameHeader header;
        absl::string_view frame;
        const std::lock_guard lock(calls_mutex_);
        while (reader.Next(&header, &frame)) {
          RepeatedCall& call = *calls_[header.number];
          TakeReply(call.request(), frame.substr(kHeaderSize));
          if (call.OnReply()) {
            AppendCall(call.request(), header.number, &again);
          } else {
            free_numbers_.push_back(header.number);
          }
        }
      }
      if (!again.empty()) Send(again);
      again.clear();
    }
  }

  const std::unique_ptr<RawConnection> connection_;
  std::mutex calls_mutex_;
  std::vector<RepeatedCall*> calls_;  // by number
  std::vector<uint32_t> free_numbers_;
  std::mutex out_mutex_;
  std::string out_;
  std::string written_;  // of the thread that is writing
  bool writing_ = false;
  std::thread reader_;
};

class RawClient final : public Client {
 public:
  RawClient(const RawTransport& transport, const std::string& uri, const Parameters& parameters)
      : transport_(transport), uri_(uri), spins_(Spins(parameters)), id_(++last_id_) {}
  ~RawClient() override {
    if (own.client == id_) own.connection = nullptr;
  }

  void Call(const EchoMessage& request) override {
    if (own.client != id_) {
      own.connection = NewConnection();
      own.client = id_;
    }
    thread_local std::string frame;
    const std::string& payload = request.payload();
    const size_t size = kHeaderSize + payload.size();
    frame.resize(size);
    PutHeader({FrameKind::kEcho, static_cast<uint32_t>(payload.size()), 0}, frame.data());
    memcpy(frame.data() + kHeaderSize, payload.data(), payload.size());
    own.connection->Write(frame);
    if (!own.connection->ReadAll(frame.data(), size)) Die("the server is gone");
    CheckReply(request, absl::string_view(frame).substr(kHeaderSize));
  }

  void Start(RepeatedCall& call) override {
    if (pipeline_ == nullptr) pipeline_ = std::make_unique<Pipeline>(NewConnection());
    pipeline_->Start(call);
  }

  uint64_t Upload(const EchoMessage& message, const std::atomic<bool>& stop) override {
    const std::unique_ptr<RawConnection> connection = NewConnection();
    char header[kHeaderSize];
    PutHeader({FrameKind::kUpload, 0, 0}, header);
    connection->Write({header, sizeof header});
    // Waits for the header alone to be read: bytes behind it would be taken for frames.
    char go;
    if (!connection->ReadAll(&go, 1)) Die("the server is gone");
    uint64_t total = 0;
    while (!stop.load(std::memory_order_relaxed)) connection->Write(message.payload());
    connection->EndWriting();
    if (!connection->ReadAll(reinterpret_cast<char*>(&total), sizeof total)) {
      Die("the server is gone");
    }
    return total / message.payload().size();
  }

  void Chat(const EchoMessage& message, ChatProgress& progress) override {
    const std::unique_ptr<RawConnection> connection = NewConnection();
    std::thread writer([&] {
      std::string out;
      while (!progress.stop.load(std::memory_order_relaxed)) {
        out.clear();
        while (out.size() < kChatBuffer) AppendCall(message, 0, &out);
        connection->Write(out);
      }
      connection->EndWriting();
    });
    FrameReader reader(*connection);
    while (reader.Fill()) {
      FrameHeader header;
      absl::string_view frame;
      uint64_t messages = 0;
      for (; reader.Next(&header, &frame); ++messages) {
        TakeReply(message, frame.substr(kHeaderSize));
      }
      progress.received.fetch_add(messages, std::memory_order_relaxed);
    }
    writer.join();
  }

 private:
  std::unique_ptr<RawConnection> NewConnection() const {
    return transport_.connected(uri_.Connect(), spins_);
  }

  static inline std::atomic<uint64_t> last_id_{0};

  const RawTransport transport_;
  const SocketUri uri_;
  const bool spins_;
  const uint64_t id_;
  std::unique_ptr<Pipeline> pipeline_;
};

class RawCalls final : public System {
 public:
  explicit RawCalls(const RawTransport& transport) : transport_(transport) {}

  std::string StartServer(const std::string& uri, const Parameters& parameters) override {
    const SocketUri address(uri);
    const int listener = address.Listen();
    std::thread([listener, transport = transport_, spins = Spins(parameters)] {
      while (true) {
        const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
        if (fd < 0) Die(std::string("cannot accept: ") + strerror(errno));
        std::thread([fd, transport, spins] {
          ServeConnection(*transport.accepted(fd, spins));
        }).detach();
      }
    }).detach();
    return address.Bound(listener);
  }
  void StopServer() override {}  // its threads end with the process
  std::unique_ptr<Client> Connect(const std::string& uri, const Parameters& parameters) override {
    return std::make_unique<RawClient>(transport_, uri, parameters);
  }

 private:
  const RawTransport transport_;
};

}  // namespace

std::unique_ptr<System> MakeRawCalls(const RawTransport& transport) {
  return std::make_unique<RawCalls>(transport);
}

}  // namespace anywire::bench
