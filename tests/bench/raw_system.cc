// Hand-written code under measurement: the floor that every other system stands on. Which kind of
// floor a transport has is a line here.
#include <string>

#include "tests/bench/program.h"
#include "tests/bench/raw_floors.h"
#include "tests/bench/raw_shm.h"
#include "tests/bench/raw_socket.h"
#include "tests/bench/system.h"

namespace anywire::bench {
namespace {

std::unique_ptr<System> FloorOf(const std::string& uri) {
  const std::string scheme = uri.substr(0, uri.find(':'));
  if (scheme == "tcp" || scheme == "unix" || scheme == "unix-abstract") {
    return MakeRawCalls({OverSocket, OverSocket});
  }
  if (scheme == "shm") return MakeRawCalls({OfferMemory, TakeMemory});
  if (scheme == "udp") return MakeRawDatagrams();
  if (scheme == "inproc") return MakeRawDirect();
  Die("no floor for " + uri);
}

// That of the address it is given.
class RawSystem final : public System {
 public:
  std::string StartServer(const std::string& uri, const Parameters& parameters) override {
    floor_ = FloorOf(uri);
    return floor_->StartServer(uri, parameters);
  }
  void StopServer() override { floor_->StopServer(); }
  std::unique_ptr<Client> Connect(const std::string& uri, const Parameters& parameters) override {
    if (floor_ == nullptr) floor_ = FloorOf(uri);
    return floor_->Connect(uri, parameters);
  }

 private:
  std::unique_ptr<System> floor_;
};

}  // namespace
}  // namespace anywire::bench

int main(int argc, char** argv) {
  anywire::bench::RawSystem system;
  return anywire::bench::RunProgram(system, argc, argv);
}
