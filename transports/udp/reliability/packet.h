// Packets to the byte; transports/udp/PROTOCOL.md has the format. Pure functions over bytes: what
// is malformed gives none, and is dropped by whoever asked.
#ifndef ANYWIRE_TRANSPORTS_UDP_RELIABILITY_PACKET_H_
#define ANYWIRE_TRANSPORTS_UDP_RELIABILITY_PACKET_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/types/span.h"
#include "transports/udp/reliability/options.h"

namespace anywire::udp {

enum class PacketKind : uint8_t {
  kOpen = 0xa1,
  kRetry = 0xa2,
  kAccept = 0xa3,
  kRefuse = 0xa4,
  kData = 0xa5,
  kReset = 0xa6,
};

inline constexpr uint8_t kVersion = 1;
// AEAD will have a tag of 16 here.
inline constexpr size_t kCheckSize = 4;
inline constexpr size_t kTokenSize = 24;
inline constexpr size_t kDataHeaderSize = 17;
inline constexpr size_t kSmallestDataSize = kDataHeaderSize + 1 + kCheckSize;
inline constexpr size_t kRetrySize = 41;
inline constexpr size_t kAcceptSize = 49;
inline constexpr size_t kRefuseSize = 20;
inline constexpr size_t kResetSize = 13;
// The most that a server sends in answer to a packet of a stranger.
inline constexpr size_t kLargestReplySize = kAcceptSize;
inline constexpr uint64_t kLastPacketNumber = (uint64_t{1} << 62) - 1;

using Token = std::array<uint8_t, kTokenSize>;

// What either side says of itself when a connection opens.
struct Parameters {
  uint32_t max_datagram_size = 0;
  uint32_t max_frame_size = 0;
  uint32_t receive_window = 0;
  uint32_t idle_timeout_ms = 0;
  uint32_t max_ack_delay_us = 0;

  friend bool operator==(const Parameters&, const Parameters&) = default;
};
// Of options that are in their ranges.
Parameters ParametersOf(const Options& options);

struct OpenPacket {
  uint8_t version = kVersion;
  uint64_t client_id = 0;
  Parameters parameters{};                    // of a version that is not ours: not looked at
  std::optional<Token> token = std::nullopt;  // likewise
};
struct RetryPacket {
  uint64_t client_id = 0;
  Token token{};
};
struct AcceptPacket {
  uint64_t client_id = 0;
  uint64_t server_id = 0;
  Parameters parameters{};
};
enum class RefuseReason : uint8_t { kVersion = 1, kNoRoom = 2, kNotListening = 3 };
struct RefusePacket {
  uint64_t client_id = 0;
  RefuseReason reason = RefuseReason::kNoRoom;
  uint8_t lowest_version = kVersion;
  uint8_t highest_version = kVersion;
};
struct DataPacket {
  uint64_t id = 0;
  uint64_t number = 0;
  absl::Span<const uint8_t> chunks;  // at least one byte
};
struct ResetPacket {
  uint64_t id = 0;
};

// Writers return the packet's size, check included. `to` has room for it.
size_t WriteOpen(const OpenPacket& packet, absl::Span<uint8_t> to);  // kBaseDatagramSize
size_t WriteRetry(const RetryPacket& packet, absl::Span<uint8_t> to);
size_t WriteAccept(const AcceptPacket& packet, absl::Span<uint8_t> to);
size_t WriteRefuse(const RefusePacket& packet, absl::Span<uint8_t> to);
size_t WriteReset(const ResetPacket& packet, absl::Span<uint8_t> to);
// DATA is written in place: kDataHeaderSize bytes, the chunks by the caller, then the check over
// `size` bytes so far, for which there is room.
void WriteDataHeader(uint64_t id, uint64_t number, uint8_t* to);
size_t SealPacket(uint8_t* packet, size_t size);

// The kind of a packet whose check is right; none for anything else.
std::optional<PacketKind> IdentifyPacket(absl::Span<const uint8_t> packet);
// Readers are given what IdentifyPacket has found to be theirs.
std::optional<OpenPacket> ReadOpen(absl::Span<const uint8_t> packet);
std::optional<RetryPacket> ReadRetry(absl::Span<const uint8_t> packet);
std::optional<AcceptPacket> ReadAccept(absl::Span<const uint8_t> packet);
std::optional<RefusePacket> ReadRefuse(absl::Span<const uint8_t> packet);
std::optional<DataPacket> ReadData(absl::Span<const uint8_t> packet);
std::optional<ResetPacket> ReadReset(absl::Span<const uint8_t> packet);

}  // namespace anywire::udp

#endif  // ANYWIRE_TRANSPORTS_UDP_RELIABILITY_PACKET_H_
