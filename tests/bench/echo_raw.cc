// The floor: blocking sockets, a length before the bytes, one read and one write a side and call.
// No protobuf, no deadlines, one connection.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <thread>

#include "tests/bench/load.h"

namespace anywire::bench {
namespace {

struct Message {
  uint32_t size = 0;  // 0 asks for the server's usage
  char payload[kPayloadSize] = {};
};

union Address {
  sockaddr any;
  sockaddr_in tcp;
  sockaddr_un unix_path;
};

// "unix:///path" or "tcp://127.0.0.1:port".
socklen_t ParseUri(const std::string& uri, Address* address) {
  *address = {};
  if (uri.starts_with("unix://")) {
    const std::string path = uri.substr(strlen("unix://"));
    if (path.size() >= sizeof address->unix_path.sun_path) Die("too long: " + uri);
    address->unix_path.sun_family = AF_UNIX;
    path.copy(address->unix_path.sun_path, path.size());
    return sizeof address->unix_path;
  }
  address->tcp.sin_family = AF_INET;
  address->tcp.sin_port = htons(static_cast<uint16_t>(std::stoi(uri.substr(uri.rfind(':') + 1))));
  address->tcp.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return sizeof address->tcp;
}

void SetNoDelay(int fd, const Address& address) {
  const int on = 1;
  if (address.any.sa_family == AF_INET) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void Send(int fd, const Message& message) {
  const size_t size = sizeof message.size + message.size;
  if (write(fd, &message, size) != static_cast<ssize_t>(size)) Die("a short write");
}

// False at the end.
bool Receive(int fd, Message* message) {
  size_t have = 0;
  while (have < sizeof message->size || have < sizeof message->size + message->size) {
    const ssize_t got = read(fd, reinterpret_cast<char*>(message) + have, sizeof *message - have);
    if (got <= 0) return false;
    have += static_cast<size_t>(got);
    if (message->size > sizeof message->payload) Die("a wrong size");
  }
  return true;
}

void Answer(int fd) {
  Message message;
  while (Receive(fd, &message)) {
    if (message.size == 0) {
      const ProcessUsage usage = OwnUsage();
      message.size = sizeof usage;
      memcpy(message.payload, &usage, sizeof usage);
    }
    Send(fd, message);
  }
  close(fd);
}

class Client final : public EchoClient {
 public:
  explicit Client(const std::string& uri) {
    Address address;
    const socklen_t size = ParseUri(uri, &address);
    fd_ = socket(address.any.sa_family, SOCK_STREAM, 0);
    if (connect(fd_, &address.any, size) != 0) Die("cannot connect to " + uri);
    SetNoDelay(fd_, address);
    request_.size = kPayloadSize;
    memset(request_.payload, 'x', sizeof request_.payload);
  }
  ~Client() override { close(fd_); }
  void Echo() override {
    Send(fd_, request_);
    Message reply;
    if (!Receive(fd_, &reply)) Die("the server is gone");
    if (memcmp(&reply, &request_, sizeof reply) != 0) Die("a wrong reply");
  }
  ProcessUsage ServerUsage() override {
    Send(fd_, Message());
    Message reply;
    if (!Receive(fd_, &reply)) Die("the server is gone");
    ProcessUsage usage;
    memcpy(&usage, reply.payload, sizeof usage);
    return usage;
  }

 private:
  int fd_;
  Message request_;
};

void Serve(const std::string& uri) {
  Address address;
  const socklen_t size = ParseUri(uri, &address);
  const int listener = socket(address.any.sa_family, SOCK_STREAM, 0);
  const int on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listener, &address.any, size) != 0 || listen(listener, 16) != 0) {
    Die("cannot listen on " + uri);
  }
  std::thread([listener, address] {
    while (true) {
      const int fd = accept(listener, nullptr, nullptr);
      if (fd < 0) return;
      SetNoDelay(fd, address);
      std::thread(Answer, fd).detach();
    }
  }).detach();
  ServeUntilStdinCloses();
}

}  // namespace
}  // namespace anywire::bench

int main(int argc, char** argv) {
  using namespace anywire::bench;
  Run<Client>(ParseCommand(argc, argv), &Serve);
}
