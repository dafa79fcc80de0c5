// A client and its server on a network that works, for tests that say what goes wrong.
#ifndef ANYWIRE_TRANSPORTS_UDP_RELIABILITY_ENDS_FIXTURE_H_
#define ANYWIRE_TRANSPORTS_UDP_RELIABILITY_ENDS_FIXTURE_H_

#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "transports/udp/reliability/virtual_network.h"

namespace anywire::udp::test {

using State = ConnectionMachine::State;

class EndsTest : public ::testing::Test {
 protected:
  static constexpr Duration kDelay = std::chrono::milliseconds(5);  // each way
  static constexpr Duration kRoundTrip = 2 * kDelay;

  // Before Start.
  EndpointOptions server_options_;
  Options client_options_;
  PathOptions path_{.delay = kDelay};

  void Start() {
    network_ = std::make_unique<VirtualNetwork>(1, server_options_, path_);
    client_ = &network_->AddClient(client_options_);
  }
  // Until both ends know that the connection is open.
  void Open() {
    if (network_ == nullptr) Start();
    ASSERT_TRUE(network_->RunUntil(
        [this] {
          return client().state() == State::kOpen && client_->peer != nullptr &&
                 server().state() == State::kOpen;
        },
        std::chrono::seconds(10)))
        << client().status();
    network_->RunFor(4 * kRoundTrip);  // path MTU probes, and what is left to acknowledge
  }

  ConnectionMachine& client() { return *client_->machine; }
  ConnectionMachine& server() { return *client_->peer; }

  static bool Send(ConnectionMachine& machine, uint64_t stream, absl::string_view text) {
    const absl::Span<uint8_t> bytes = machine.NewFrame(stream, text.size());
    if (bytes.data() == nullptr) return false;
    std::memcpy(bytes.data(), text.data(), text.size());
    return true;
  }
  // "stream:text" of the frames that are there.
  static std::vector<std::string> Receive(ConnectionMachine& machine) {
    std::vector<std::string> result;
    while (machine.has_frames()) {
      for (const ReceivedFrame& frame : machine.Receive()) {
        result.push_back(
            absl::StrCat(frame.stream, ":", std::string(frame.bytes.begin(), frame.bytes.end())));
      }
    }
    machine.ReleaseFrames();
    return result;
  }
  enum class Side { kClient, kServer };
  // Loses the next datagram towards this side, and no other.
  void LoseNextTo(Side side) {
    losing_ = true;
    network_->on_datagram = [this, side](bool to_server, Datagram&) {
      return to_server != (side == Side::kServer) || !std::exchange(losing_, false);
    };
  }
  // Whether that is still to come.
  bool losing() const { return losing_; }
  // Goes on until it has frames.
  bool RunUntilFrames(ConnectionMachine& machine, Duration limit) {
    return network_->RunUntil([&machine] { return machine.has_frames(); }, limit);
  }
  bool RunUntilState(ConnectionMachine& machine, State state, Duration limit) {
    return network_->RunUntil([&] { return machine.state() == state; }, limit);
  }

  std::unique_ptr<VirtualNetwork> network_;
  VirtualNetwork::Client* client_ = nullptr;

 private:
  bool losing_ = false;
};

}  // namespace anywire::udp::test

#endif  // ANYWIRE_TRANSPORTS_UDP_RELIABILITY_ENDS_FIXTURE_H_
