// A path of the two udp machines, over a network that may do anything to their datagrams.
#ifndef ANYWIRE_TESTS_SIM_UDP_UDP_PATH_H_
#define ANYWIRE_TESTS_SIM_UDP_UDP_PATH_H_

#include <string>
#include <vector>

#include "tests/sim/agenda.h"
#include "tests/sim/path.h"
#include "tests/sim/random.h"
#include "transports/udp/reliability/connection_machine.h"
#include "transports/udp/reliability/virtual_network.h"

namespace anywire::sim {

// Neither end reads at once, always; both ask for signs of life while the path is used.
class UdpPath final : public Path {
 public:
  // The connection of `client`, whose machine has opened (its server may not know of it yet). All
  // outlive the path. No other user advances the network meanwhile.
  UdpPath(Agenda& agenda, Random& random, udp::test::VirtualNetwork& network,
          udp::test::VirtualNetwork::Client& client);
  ~UdpPath() override;

  FrameSink& sink(End from) override { return from == End::kClient ? client_.sink : server_.sink; }
  size_t max_frame_size(End from) const override;
  void Abort(End end, const absl::Status& why) override;
  Instant NextEvent() const override { return network_.NextEvent(); }
  void Advance() override;
  bool is_empty() const override;
  std::vector<std::string> Close() override;
  uint64_t frames() const override { return frames_; }

 private:
  class Sink final : public FrameSink {
   public:
    Sink(UdpPath& path, End end) : path_(path), end_(end) {}
    absl::Span<uint8_t> NewFrame(uint64_t stream, size_t size) override;

   private:
    UdpPath& path_;
    const End end_;
  };
  struct Owner {
    Owner(UdpPath& path, End which) : end(which), sink(path, which) {}
    const End end;
    Sink sink;
    bool was_there = false;  // its machine
    bool refused = false;    // since its machine was not there
    bool reads_later = false;
    bool lost = false;
  };

  // Null: the server's that does not exist yet, or any more.
  udp::ConnectionMachine* machine(End end) const {
    return end == End::kClient ? client_end_.machine.get() : client_end_.peer;
  }
  // What an owner does whenever something has happened.
  void Step(Owner& owner);
  void Read(Owner& owner, udp::ConnectionMachine& machine);
  void Lose(Owner& owner, const absl::Status& why);

  Agenda& agenda_;
  Random& random_;
  udp::test::VirtualNetwork& network_;
  udp::test::VirtualNetwork::Client& client_end_;
  Owner client_, server_;
  uint64_t frames_ = 0;
};

}  // namespace anywire::sim

#endif  // ANYWIRE_TESTS_SIM_UDP_UDP_PATH_H_
