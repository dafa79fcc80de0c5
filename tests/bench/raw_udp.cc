#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "tests/bench/raw_floors.h"
#include "tests/bench/raw_socket.h"

namespace anywire::bench {
namespace {

constexpr size_t kLargest = 64 << 10;
// A reply that has not come by then is lost, which does not happen on a loopback that is asked one
// thing at a time. The server looks so often whether it is to end.
constexpr std::chrono::milliseconds kPatience{200};

bool Spins(const Parameters& parameters) { return parameters.Text("wait", "block") == "spin"; }

class DatagramSocket {
 public:
  DatagramSocket(int fd, bool spins) : fd_(fd), spins_(spins) {
    const timeval patience = {0, std::chrono::microseconds(kPatience).count()};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  ~DatagramSocket() { close(fd_); }
  DatagramSocket(const DatagramSocket&) = delete;
  DatagramSocket& operator=(const DatagramSocket&) = delete;

  // False when none has come for a while.
  bool Receive(char* buffer, size_t* size, sockaddr_storage* from, socklen_t* from_size) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (true) {
      *from_size = sizeof *from;
      const ssize_t got = recvfrom(fd_, buffer, kLargest, spins_ ? MSG_DONTWAIT : 0,
                                   reinterpret_cast<sockaddr*>(from), from_size);
      if (got >= 0) {
        *size = static_cast<size_t>(got);
        return true;
      }
      if (errno != EAGAIN && errno != EINTR) Die(absl::StrCat("cannot receive: ", strerror(errno)));
      if (std::chrono::steady_clock::now() > end) return false;
    }
  }
  // To the peer, where `to_size` is 0.
  void Send(const char* bytes, size_t size, const sockaddr_storage* to, socklen_t to_size) {
    const auto* const address = to_size == 0 ? nullptr : reinterpret_cast<const sockaddr*>(to);
    if (sendto(fd_, bytes, size, MSG_NOSIGNAL, address, to_size) < 0) {
      Die(absl::StrCat("cannot send: ", strerror(errno)));
    }
  }

 private:
  const int fd_;
  const bool spins_;
};

class DatagramClient final : public Client {
 public:
  DatagramClient(const SocketUri& uri, bool spins) : uri_(uri), spins_(spins) {}

  void Call(const EchoMessage& request) override {
    thread_local DatagramSocket socket(uri_.Connect(), spins_);
    thread_local std::string reply(kLargest, 0);
    socket.Send(request.payload().data(), request.payload().size(), nullptr, 0);
    size_t size;
    sockaddr_storage from;
    socklen_t from_size;
    if (!socket.Receive(reply.data(), &size, &from, &from_size)) Die("a datagram is lost");
    CheckReply(request, absl::string_view(reply.data(), size));
  }
  void Start(RepeatedCall&) override { DieOfMore(); }
  uint64_t Upload(const EchoMessage&, const std::atomic<bool>&) override { DieOfMore(); }
  void Chat(const EchoMessage&, ChatProgress&) override { DieOfMore(); }

 private:
  [[noreturn]] static void DieOfMore() { Die("by hand, datagrams have calls that wait only"); }

  const SocketUri uri_;
  const bool spins_;
};

class RawDatagrams final : public System {
 public:
  std::string StartServer(const std::string& uri, const Parameters& parameters) override {
    const SocketUri address(uri);
    const int fd = address.Listen();
    const std::string bound = address.Bound(fd);
    thread_ = std::thread([this, fd, spins = Spins(parameters)] {
      DatagramSocket socket(fd, spins);
      std::string bytes(kLargest, 0);
      size_t size;
      sockaddr_storage from;
      socklen_t from_size;
      while (!ending_.load(std::memory_order_relaxed)) {
        if (!socket.Receive(bytes.data(), &size, &from, &from_size)) continue;
        socket.Send(bytes.data(), size, &from, from_size);
      }
    });
    return bound;
  }
  void StopServer() override {
    ending_ = true;
    thread_.join();
  }
  std::unique_ptr<Client> Connect(const std::string& uri, const Parameters& parameters) override {
    return std::make_unique<DatagramClient>(SocketUri(uri), Spins(parameters));
  }

 private:
  std::atomic<bool> ending_{false};
  std::thread thread_;
};

}  // namespace

std::unique_ptr<System> MakeRawDatagrams() { return std::make_unique<RawDatagrams>(); }

}  // namespace anywire::bench
