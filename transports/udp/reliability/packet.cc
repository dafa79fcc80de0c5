#include "transports/udp/reliability/packet.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "absl/base/macros.h"
#include "transports/udp/reliability/crc32c.h"

namespace anywire::udp {
namespace {

static_assert(std::endian::native == std::endian::little, "fields are copied as they are");

constexpr uint8_t kMagic[3] = {0x61, 0x77, 0x75};  // "awu"
// Kind, magic, version and client id.
constexpr size_t kLongHeaderSize = 13;
constexpr size_t kParametersSize = 24;
constexpr size_t kTokenAt = kLongHeaderSize + kParametersSize + 1;
static_assert(kRetrySize == kLongHeaderSize + kTokenSize + kCheckSize);
static_assert(kAcceptSize == kLongHeaderSize + 8 + kParametersSize + kCheckSize);
static_assert(kRefuseSize == kLongHeaderSize + 3 + kCheckSize);

constexpr uint32_t kLongestIdleTimeoutMs =
    std::chrono::duration_cast<std::chrono::milliseconds>(kLongestTimeout).count();
constexpr uint32_t kLongestMaxAckDelayUs =
    std::chrono::duration_cast<std::chrono::microseconds>(kLongestMaxAckDelay).count();

// Goes over a packet's fields; sizes have been checked.
class FieldWriter {
 public:
  explicit FieldWriter(uint8_t* to) : at_(to) {}
  template <typename T>
  void Put(const T& value) {
    std::memcpy(at_, &value, sizeof(value));
    at_ += sizeof(value);
  }
  void LongHeader(PacketKind kind, uint64_t client_id) {
    Put(kind);
    Put(kMagic);
    Put(kVersion);
    Put(client_id);
  }
  void Put(const Parameters& parameters) {
    Put(parameters.max_datagram_size);
    Put(parameters.max_frame_size);
    Put(parameters.receive_window);
    Put(parameters.idle_timeout_ms);
    Put(parameters.max_ack_delay_us);
    Put(uint32_t{0});
  }
  uint8_t* at() const { return at_; }

 private:
  uint8_t* at_;
};

class FieldReader {
 public:
  explicit FieldReader(const uint8_t* from) : at_(from) {}
  template <typename T>
  T Get() {
    T value;
    std::memcpy(&value, at_, sizeof(value));
    at_ += sizeof(value);
    return value;
  }

 private:
  const uint8_t* at_;
};

std::optional<Parameters> ReadParameters(const uint8_t* from) {
  FieldReader reader(from);
  Parameters result;
  result.max_datagram_size = reader.Get<uint32_t>();
  result.max_frame_size = reader.Get<uint32_t>();
  result.receive_window = reader.Get<uint32_t>();
  result.idle_timeout_ms = reader.Get<uint32_t>();
  result.max_ack_delay_us = reader.Get<uint32_t>();
  const bool in_range = result.max_datagram_size >= kBaseDatagramSize &&
                        result.max_datagram_size <= kLargestDatagramSize &&
                        result.max_frame_size >= kSmallestMaxFrameSize &&
                        result.max_frame_size <= kLargestMaxFrameSize &&
                        result.receive_window >= result.max_frame_size + kFrameCost &&
                        result.receive_window <= kLargestWindow && result.idle_timeout_ms >= 1 &&
                        result.idle_timeout_ms <= kLongestIdleTimeoutMs &&
                        result.max_ack_delay_us <= kLongestMaxAckDelayUs;
  if (!in_range) return std::nullopt;
  return result;
}

struct LongHeader {
  uint8_t version = 0;
  uint64_t client_id = 0;
};
std::optional<LongHeader> ReadLongHeader(absl::Span<const uint8_t> packet) {
  if (packet.size() < kLongHeaderSize + kCheckSize) return std::nullopt;
  if (std::memcmp(packet.data() + 1, kMagic, sizeof(kMagic)) != 0) return std::nullopt;
  FieldReader reader(packet.data() + 1 + sizeof(kMagic));
  LongHeader header;
  header.version = reader.Get<uint8_t>();
  header.client_id = reader.Get<uint64_t>();
  return header;
}

// Of a packet of our version that has one size only.
std::optional<LongHeader> ReadLongHeader(absl::Span<const uint8_t> packet, size_t size) {
  std::optional<LongHeader> header = ReadLongHeader(packet);
  if (packet.size() != size || !header || header->version != kVersion) return std::nullopt;
  return header;
}

}  // namespace

Parameters ParametersOf(const Options& options) {
  using std::chrono::duration_cast;
  Parameters result;
  result.max_datagram_size = static_cast<uint32_t>(options.max_datagram_size);
  result.max_frame_size = static_cast<uint32_t>(options.max_frame_size);
  result.receive_window = static_cast<uint32_t>(options.receive_window);
  result.idle_timeout_ms =
      static_cast<uint32_t>(duration_cast<std::chrono::milliseconds>(options.idle_timeout).count());
  result.max_ack_delay_us = static_cast<uint32_t>(
      duration_cast<std::chrono::microseconds>(options.max_ack_delay).count());
  return result;
}

size_t SealPacket(uint8_t* packet, size_t size) {
  const uint32_t check = Crc32c(absl::MakeConstSpan(packet, size));
  std::memcpy(packet + size, &check, sizeof(check));
  return size + kCheckSize;
}

std::optional<PacketKind> IdentifyPacket(absl::Span<const uint8_t> packet) {
  if (packet.size() < kResetSize) return std::nullopt;
  const auto kind = static_cast<PacketKind>(packet[0]);
  if (kind < PacketKind::kOpen || kind > PacketKind::kReset) return std::nullopt;
  const size_t size = packet.size() - kCheckSize;
  uint32_t check;
  std::memcpy(&check, packet.data() + size, sizeof(check));
  if (Crc32c(packet.first(size)) != check) return std::nullopt;
  return kind;
}

size_t WriteOpen(const OpenPacket& packet, absl::Span<uint8_t> to) {
  ABSL_HARDENING_ASSERT(to.size() >= kBaseDatagramSize);
  FieldWriter writer(to.data());
  writer.LongHeader(PacketKind::kOpen, packet.client_id);
  writer.Put(packet.parameters);
  writer.Put(static_cast<uint8_t>(packet.token ? kTokenSize : 0));
  if (packet.token) writer.Put(*packet.token);
  const size_t size = kBaseDatagramSize - kCheckSize;
  std::fill(writer.at(), to.data() + size, uint8_t{0});
  return SealPacket(to.data(), size);
}

std::optional<OpenPacket> ReadOpen(absl::Span<const uint8_t> packet) {
  if (packet.size() < kBaseDatagramSize) return std::nullopt;
  const std::optional<LongHeader> header = ReadLongHeader(packet);
  if (!header) return std::nullopt;
  OpenPacket result;
  result.version = header->version;
  result.client_id = header->client_id;
  if (header->version != kVersion) return result;
  const std::optional<Parameters> parameters = ReadParameters(packet.data() + kLongHeaderSize);
  if (!parameters) return std::nullopt;
  result.parameters = *parameters;
  const size_t token_size = packet[kTokenAt - 1];
  if (token_size == kTokenSize) {
    result.token = FieldReader(packet.data() + kTokenAt).Get<Token>();
  } else if (token_size != 0) {
    return std::nullopt;
  }
  return result;
}

size_t WriteRetry(const RetryPacket& packet, absl::Span<uint8_t> to) {
  ABSL_HARDENING_ASSERT(to.size() >= kRetrySize);
  FieldWriter writer(to.data());
  writer.LongHeader(PacketKind::kRetry, packet.client_id);
  writer.Put(packet.token);
  return SealPacket(to.data(), kRetrySize - kCheckSize);
}

std::optional<RetryPacket> ReadRetry(absl::Span<const uint8_t> packet) {
  const std::optional<LongHeader> header = ReadLongHeader(packet, kRetrySize);
  if (!header) return std::nullopt;
  return RetryPacket{header->client_id, FieldReader(packet.data() + kLongHeaderSize).Get<Token>()};
}

size_t WriteAccept(const AcceptPacket& packet, absl::Span<uint8_t> to) {
  ABSL_HARDENING_ASSERT(to.size() >= kAcceptSize);
  FieldWriter writer(to.data());
  writer.LongHeader(PacketKind::kAccept, packet.client_id);
  writer.Put(packet.server_id);
  writer.Put(packet.parameters);
  return SealPacket(to.data(), kAcceptSize - kCheckSize);
}

std::optional<AcceptPacket> ReadAccept(absl::Span<const uint8_t> packet) {
  const std::optional<LongHeader> header = ReadLongHeader(packet, kAcceptSize);
  if (!header) return std::nullopt;
  const std::optional<Parameters> parameters = ReadParameters(packet.data() + kLongHeaderSize + 8);
  if (!parameters) return std::nullopt;
  return AcceptPacket{header->client_id,
                      FieldReader(packet.data() + kLongHeaderSize).Get<uint64_t>(), *parameters};
}

size_t WriteRefuse(const RefusePacket& packet, absl::Span<uint8_t> to) {
  ABSL_HARDENING_ASSERT(to.size() >= kRefuseSize);
  FieldWriter writer(to.data());
  writer.LongHeader(PacketKind::kRefuse, packet.client_id);
  writer.Put(packet.reason);
  writer.Put(packet.lowest_version);
  writer.Put(packet.highest_version);
  return SealPacket(to.data(), kRefuseSize - kCheckSize);
}

std::optional<RefusePacket> ReadRefuse(absl::Span<const uint8_t> packet) {
  // Whatever the sender's version is: this is how it says it.
  const std::optional<LongHeader> header = ReadLongHeader(packet);
  if (packet.size() != kRefuseSize || !header) return std::nullopt;
  FieldReader reader(packet.data() + kLongHeaderSize);
  RefusePacket result;
  result.client_id = header->client_id;
  result.reason = reader.Get<RefuseReason>();
  result.lowest_version = reader.Get<uint8_t>();
  result.highest_version = reader.Get<uint8_t>();
  if (result.reason < RefuseReason::kVersion || result.reason > RefuseReason::kNotListening) {
    return std::nullopt;
  }
  return result;
}

void WriteDataHeader(uint64_t id, uint64_t number, uint8_t* to) {
  FieldWriter writer(to);
  writer.Put(PacketKind::kData);
  writer.Put(id);
  writer.Put(number);
}

std::optional<DataPacket> ReadData(absl::Span<const uint8_t> packet) {
  if (packet.size() < kSmallestDataSize) return std::nullopt;
  FieldReader reader(packet.data() + 1);
  DataPacket result;
  result.id = reader.Get<uint64_t>();
  result.number = reader.Get<uint64_t>();
  if (result.number > kLastPacketNumber) return std::nullopt;
  result.chunks = packet.subspan(kDataHeaderSize, packet.size() - kDataHeaderSize - kCheckSize);
  return result;
}

size_t WriteReset(const ResetPacket& packet, absl::Span<uint8_t> to) {
  ABSL_HARDENING_ASSERT(to.size() >= kResetSize);
  FieldWriter writer(to.data());
  writer.Put(PacketKind::kReset);
  writer.Put(packet.id);
  return SealPacket(to.data(), kResetSize - kCheckSize);
}

std::optional<ResetPacket> ReadReset(absl::Span<const uint8_t> packet) {
  if (packet.size() != kResetSize) return std::nullopt;
  return ResetPacket{FieldReader(packet.data() + 1).Get<uint64_t>()};
}

}  // namespace anywire::udp
