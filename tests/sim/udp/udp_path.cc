#include "tests/sim/udp/udp_path.h"

#include "absl/strings/str_cat.h"

namespace anywire::sim {

using udp::ConnectionMachine;
using State = ConnectionMachine::State;

namespace {

bool IsOver(const ConnectionMachine& machine) {
  return machine.state() == State::kDraining || machine.state() == State::kEnded;
}

}  // namespace

UdpPath::UdpPath(Agenda& agenda, Random& random, udp::test::VirtualNetwork& network,
                 udp::test::VirtualNetwork::Client& client)
    : agenda_(agenda),
      random_(random),
      network_(network),
      connection_(client),
      client_(*this, End::kClient),
      server_(*this, End::kServer) {
  network_.on_step = [this] {
    Step(client_);
    Step(server_);
  };
}

UdpPath::~UdpPath() { network_.on_step = nullptr; }

size_t UdpPath::max_frame_size(End /*from*/) const { return connection_.machine->max_frame_size(); }

absl::Span<uint8_t> UdpPath::Owner::NewFrame(uint64_t stream, size_t size) {
  ConnectionMachine* const machine = path.machine(end);
  if (machine == nullptr) {
    refused = true;
    return {};
  }
  const absl::Span<uint8_t> frame = machine->NewFrame(stream, size);
  if (frame.data() != nullptr) ++path.frames_;
  return frame;
}

void UdpPath::Abort(End end, const absl::Status& why) {
  if (ConnectionMachine* const machine = this->machine(end)) {
    machine->Abort(why.code(), why.message());
  }
}

void UdpPath::Advance() { network_.RunFor(agenda_.now() - network_.now()); }

void UdpPath::Step(Owner& owner) {
  if (owner.lost) return;
  ConnectionMachine* const machine = this->machine(owner.end);
  if (machine == nullptr) {
    if (owner.was_there) Lose(owner, absl::UnavailableError("the server is gone"));
    return;
  }
  if (!owner.was_there) {
    owner.was_there = true;
    machine->KeepAlive(true);
  }
  Read(owner, *machine);
  if (IsOver(*machine)) {
    if (!machine->has_frames()) Lose(owner, machine->status());
    return;
  }
  if (machine->TakeRoom() || owner.refused) {
    owner.refused = false;
    on_writable(owner.end);
  }
}

void UdpPath::Read(Owner& owner, ConnectionMachine& machine) {
  if (!machine.has_frames() || owner.reads_later) return;
  if (random_.OneIn(8)) {
    owner.reads_later = true;
    agenda_.After(Duration(random_.Below(2'000'000)), [&owner] { owner.reads_later = false; });
    return;
  }
  while (machine.has_frames()) on_frames(owner.end, machine.Receive());
  machine.ReleaseFrames();
}

void UdpPath::Lose(Owner& owner, const absl::Status& why) {
  owner.lost = true;
  on_lost(owner.end, why);
}

bool UdpPath::is_empty() const {
  if (client_.lost || server_.lost) return client_.lost && server_.lost;
  return connection_.machine->held() == 0 && connection_.peer != nullptr &&
         connection_.peer->held() == 0;
}

std::vector<std::string> UdpPath::Close(Duration bound) {
  std::vector<std::string> failures;
  ConnectionMachine& client = *connection_.machine;
  client.Close(network_.now());
  const Instant limit = network_.now() + bound;
  Advance();
  while (client.state() != State::kEnded || connection_.peer != nullptr) {
    if (Next(agenda_) > limit) {
      failures.push_back("Close does not end");
      break;
    }
    DoNext(agenda_);
  }
  if (client.status().message() != "closed") {
    failures.push_back(absl::StrCat("Close ends as ", client.status().ToString()));
  }
  if (client.held() != 0) failures.push_back("frames are left after Close");
  return failures;
}

}  // namespace anywire::sim
