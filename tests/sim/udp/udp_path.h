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

// Owners do not always read at once, and both ends ask for signs of life.
class UdpPath final : public Path {
 public:
  // The connection of `client`, whose machine has opened (its server may not know of it yet). All
  // outlive the path. No other user advances the network meanwhile.
  UdpPath(Agenda& agenda, Random& random, udp::test::VirtualNetwork& network,
          udp::test::VirtualNetwork::Client& client);
  ~UdpPath() override;

  FrameSink& sink(End from) override { return from == End::kClient ? client_ : server_; }
  size_t max_frame_size(End from) const override;
  void Abort(End end, const absl::Status& why) override;
  Instant NextEvent() const override { return network_.NextEvent(); }
  void Advance() override;
  bool is_empty() const override;
  std::vector<std::string> Close(Duration bound) override;
  uint64_t frames() const override { return frames_; }

 private:
  // Whoever has one end's machine.
  struct Owner final : FrameSink {
    Owner(UdpPath& owners_path, End owners_end) : path(owners_path), end(owners_end) {}
    absl::Span<uint8_t> NewFrame(uint64_t stream, size_t size) override;

    UdpPath& path;
    const End end;
    bool was_there = false;  // the machine
    bool refused = false;    // a frame, since the machine was not there
    bool reads_later = false;
    bool lost = false;
  };

  // Null: the server's that does not exist yet, or any more.
  udp::ConnectionMachine* machine(End end) const {
    return end == End::kClient ? connection_.machine.get() : connection_.peer;
  }
  // What an owner does whenever something has happened.
  void Step(Owner& owner);
  void Read(Owner& owner, udp::ConnectionMachine& machine);
  void Lose(Owner& owner, const absl::Status& why);

  Agenda& agenda_;
  Random& random_;
  udp::test::VirtualNetwork& network_;
  udp::test::VirtualNetwork::Client& connection_;
  Owner client_, server_;
  uint64_t frames_ = 0;
};

}  // namespace anywire::sim

#endif  // ANYWIRE_TESTS_SIM_UDP_UDP_PATH_H_
