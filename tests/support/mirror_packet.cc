#include <algorithm>
#include <cstddef>

#include "tests/support/tun_path.h"

namespace anywire::test {
namespace {

// RFC 791.
constexpr size_t kSmallestHeader = 20;
constexpr size_t kFragment = 6;  // offsets within the header
constexpr size_t kProtocol = 9;
constexpr size_t kSource = 12;
constexpr size_t kDestination = 16;
constexpr size_t kAddressSize = 4;
constexpr uint8_t kIcmp = 1;
constexpr uint8_t kTcp = 6;
constexpr uint8_t kUdp = 17;
// RFC 792: an error is followed by the beginning of the packet that it is about.
constexpr size_t kIcmpHeader = 8;
constexpr uint8_t kIcmpErrors[] = {3, 4, 5, 11, 12};

size_t HeaderSize(absl::Span<const uint8_t> packet) {
  if (packet.size() < kSmallestHeader || packet[0] >> 4 != 4) return 0;
  const size_t size = size_t{4} * (packet[0] & 15);
  return size < kSmallestHeader || size > packet.size() ? 0 : size;
}

// The packet in an ICMP error; empty: it is none.
absl::Span<uint8_t> Complaint(absl::Span<uint8_t> packet, size_t header) {
  if (packet[kProtocol] != kIcmp || packet.size() < header + kIcmpHeader) return {};
  if (std::count(std::begin(kIcmpErrors), std::end(kIcmpErrors), packet[header]) == 0) return {};
  return packet.subspan(header + kIcmpHeader);
}

}  // namespace

std::optional<Towards> MirrorPacket(absl::Span<uint8_t> packet) {
  const size_t header = HeaderSize(packet);
  if (header == 0) return std::nullopt;
  std::swap_ranges(&packet[kSource], &packet[kSource + kAddressSize], &packet[kDestination]);
  // Who gets the error knows the other packet by what it was before it was mirrored.
  if (const absl::Span<uint8_t> other = Complaint(packet, header); !other.empty()) {
    return MirrorPacket(other) == Towards::kServer ? Towards::kClient : Towards::kServer;
  }
  const bool has_ports = (packet[kProtocol] == kTcp || packet[kProtocol] == kUdp) &&
                         (packet[kFragment] & 0x1f) == 0 && packet[kFragment + 1] == 0 &&
                         packet.size() >= header + 4;
  if (!has_ports) return Towards::kClient;
  const int port = packet[header + 2] << 8 | packet[header + 3];
  return port < TunPath::kFirstClientPort ? Towards::kServer : Towards::kClient;
}

}  // namespace anywire::test
