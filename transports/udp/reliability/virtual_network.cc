#include "transports/udp/reliability/virtual_network.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "gtest/gtest.h"

namespace anywire::udp::test {

using anywire::test::Towards;
using State = ConnectionMachine::State;

VirtualNetwork::VirtualNetwork(uint64_t seed, const EndpointOptions& server,
                               const PathOptions& path)
    : random_(seed), server_options_(server), path_(path, random_) {
  RestartServer();
}

VirtualNetwork::~VirtualNetwork() = default;

void VirtualNetwork::RestartServer() {
  for (const auto& client : clients_) client->peer = nullptr;
  accepted_.clear();
  endpoint_ =
      std::make_unique<EndpointMachine>(server_options_, pool_, SipKey{random_(), random_()});
}

VirtualNetwork::Client& VirtualNetwork::AddClient(const Options& options) {
  Client& client = *clients_.emplace_back(std::make_unique<Client>());
  client.address = NewAddress();
  client.machine = ConnectionMachine::Connect(options, client.pool, {random_(), random_()}, now_);
  return client;
}

void VirtualNetwork::MoveClient(Client& client) { client.address = NewAddress(); }

PeerAddress VirtualNetwork::NewAddress() {
  PeerAddress address;
  ++addresses_;
  std::memcpy(address.bytes.data(), &addresses_, sizeof(addresses_));
  return address;
}

VirtualNetwork::Client* VirtualNetwork::ClientAt(const PeerAddress& address) {
  for (const auto& client : clients_) {
    if (client->address == address) return client.get();
  }
  return nullptr;
}

void VirtualNetwork::Submit(bool to_server, const PeerAddress& client, Datagram datagram) {
  ++datagrams_;
  bytes_[to_server ? 1 : 0] += datagram.size();
  if (on_datagram && !on_datagram(to_server, datagram)) return;
  path_.Send({TowardsOf(to_server), client, std::move(datagram)}, now_);
}

void VirtualNetwork::Inject(const PeerAddress& from, const Datagram& datagram) {
  Deliver({Towards::kServer, from, datagram});
}

void VirtualNetwork::Deliver(const Path::Packet& packet) {
  Client* const client = ClientAt(packet.route);
  if (packet.towards == Towards::kClient) {
    if (client != nullptr) client->machine->HandleDatagram(now_, packet.bytes);
    return;
  }
  Datagram reply(kLargestReplySize);
  EndpointMachine::Outcome outcome =
      endpoint_->HandleDatagram(now_, packet.route, packet.bytes, absl::MakeSpan(reply));
  // Nobody gains by a forged address.
  EXPECT_LT(outcome.reply_size, std::max<size_t>(packet.bytes.size(), 1));
  if (outcome.reply_size > 0) {
    reply.resize(outcome.reply_size);
    Submit(false, packet.route, reply);
  }
  if (outcome.opened != nullptr) {
    if (client != nullptr) client->peer = outcome.connection;
    accepted_.push_back({packet.route, std::move(outcome.opened)});
  }
}

void VirtualNetwork::Poll() {
  const auto copy = [this](size_t size) {
    return Datagram(room_.begin(), room_.begin() + static_cast<ptrdiff_t>(size));
  };
  for (const auto& client : clients_) {
    while (const size_t size = client->machine->PollDatagram(now_, absl::MakeSpan(room_))) {
      Submit(true, client->address, copy(size));
    }
  }
  // By index: a hook that sees a datagram may inject another.
  for (size_t i = 0; i < accepted_.size(); ++i) {
    while (const size_t size = accepted_[i].machine->PollDatagram(now_, absl::MakeSpan(room_))) {
      Submit(false, accepted_[i].client, copy(size));
    }
  }
}

// The server's owner lets go of what has ended, and of all that it held.
void VirtualNetwork::DropEnded() {
  for (auto it = accepted_.begin(); it != accepted_.end();) {
    const ConnectionMachine& machine = *it->machine;
    if (machine.state() != State::kEnded || machine.has_frames()) {
      ++it;
      continue;
    }
    endpoint_->Remove(machine);
    for (const auto& client : clients_) {
      if (client->peer == &machine) client->peer = nullptr;
    }
    it = accepted_.erase(it);
  }
}

Instant VirtualNetwork::NextEvent() const {
  Instant next = path_.NextArrival();
  for (const auto& client : clients_) next = std::min(next, client->machine->NextWakeup());
  for (const Accepted& accepted : accepted_) {
    next = std::min(next, accepted.machine->NextWakeup());
  }
  return next;
}

bool VirtualNetwork::RunUntil(const std::function<bool()>& done, Duration limit) {
  const Instant end = now_ + limit;
  size_t steps_without_time = 0;
  while (true) {
    if (on_step) on_step();
    Poll();
    DropEnded();
    if (done()) return true;
    const Instant next = NextEvent();
    if (next > end) {
      now_ = end;
      return false;
    }
    // A machine that wants to be woken again and again at one instant would never end.
    steps_without_time = next > now_ ? 0 : steps_without_time + 1;
    EXPECT_LT(steps_without_time, 10'000u);
    if (steps_without_time >= 10'000u) return false;
    now_ = std::max(now_, next);
    while (path_.NextArrival() <= now_) Deliver(path_.Take());
    for (const auto& client : clients_) {
      if (client->machine->NextWakeup() <= now_) client->machine->HandleWakeup(now_);
    }
    for (const Accepted& accepted : accepted_) {
      if (accepted.machine->NextWakeup() <= now_) accepted.machine->HandleWakeup(now_);
    }
  }
}

}  // namespace anywire::udp::test
