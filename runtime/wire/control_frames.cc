#include "runtime/wire/control_frames.h"

#include <algorithm>
#include <iterator>

namespace anywire::wire {
namespace {

constexpr absl::string_view kMagic = "anyw";

struct Setting {
  uint64_t id;
  uint64_t Hello::*field;
  uint64_t least;
  uint64_t most;
};

constexpr Setting kSettings[] = {
    {1, &Hello::max_concurrent_calls, 1, kMaxStreams},
    {2, &Hello::call_window, kMinCallWindow, uint64_t{1} << 40},
    {3, &Hello::connection_window, kMinConnectionWindow, uint64_t{1} << 40},
    {4, &Hello::max_methods, 0, uint64_t{1} << 20},
    {5, &Hello::excess_window, 0, uint64_t{1} << 40},
};

void AppendVarint(uint64_t value, std::string* to) {
  const size_t before = to->size();
  to->resize(before + VarintSize(value));
  WriteVarint(value, reinterpret_cast<uint8_t*>(to->data()) + before);
}

const char* TakeSetting(uint64_t id, uint64_t value, Hello* hello) {
  for (const Setting& setting : kSettings) {
    if (setting.id != id) continue;
    if (value < setting.least || value > setting.most) return "HELLO: a setting out of range";
    hello->*setting.field = value;
  }
  return nullptr;  // settings of later versions mean nothing to us
}

}  // namespace

std::string EncodeHello(const Hello& hello) {
  const Hello defaults;
  std::string frame(1, static_cast<char>(kHello));
  frame.append(kMagic.data(), kMagic.size());
  AppendVarint(hello.lowest_version, &frame);
  AppendVarint(hello.highest_version, &frame);
  AppendVarint(hello.required_features, &frame);
  AppendVarint(hello.optional_features, &frame);
  for (const Setting& setting : kSettings) {
    if (hello.*setting.field == defaults.*setting.field) continue;
    AppendVarint(setting.id, &frame);
    AppendVarint(hello.*setting.field, &frame);
  }
  return frame;
}

const char* ReadHello(Bytes bytes, Hello* hello) {
  *hello = Hello();
  Reader reader(bytes.subspan(1));
  for (const char c : kMagic) {
    uint8_t byte = 0;
    if (!reader.ReadByte(&byte) || byte != static_cast<uint8_t>(c)) return "HELLO: not anywire";
  }
  if (!reader.ReadVarint(&hello->lowest_version) || !reader.ReadVarint(&hello->highest_version) ||
      !reader.ReadVarint(&hello->required_features) ||
      !reader.ReadVarint(&hello->optional_features)) {
    return "HELLO: cut short";
  }
  if (hello->lowest_version == 0 || hello->lowest_version > hello->highest_version) {
    return "HELLO: bad versions";
  }
  uint64_t seen[kMaxSettings];
  for (uint64_t* end = seen; !reader.done(); ++end) {
    if (end == std::end(seen)) return "HELLO: too many settings";
    uint64_t id = 0, value = 0;
    if (!reader.ReadVarint(&id) || !reader.ReadVarint(&value)) return "HELLO: cut short";
    if (std::find(seen, end, id) != end) return "HELLO: a setting twice";
    *end = id;
    if (const char* wrong = TakeSetting(id, value, hello)) return wrong;
  }
  if (hello->connection_window < hello->call_window) return "HELLO: a setting out of range";
  return nullptr;
}

void WritePing(uint8_t kind, uint64_t value, uint8_t* to) {
  *to++ = kind;
  for (int i = 0; i < 8; ++i) *to++ = static_cast<uint8_t>(value >> (8 * i));
}

const char* ReadPing(Bytes bytes, uint64_t* value) {
  if (bytes.size() != kPingFrameSize) return "PING: bad size";
  *value = 0;
  for (size_t i = 0; i < 8; ++i) *value |= static_cast<uint64_t>(bytes[1 + i]) << (8 * i);
  return nullptr;
}

std::string EncodeGoaway(const Goaway& goaway) {
  std::string frame = {static_cast<char>(kGoaway), static_cast<char>(goaway.code)};
  const absl::string_view text = goaway.text.substr(0, kMaxGoawayTextSize);
  frame.append(text.data(), text.size());
  return frame;
}

const char* ReadGoaway(Bytes bytes, Goaway* goaway) {
  if (bytes.size() < 2 || bytes.size() > 2 + kMaxGoawayTextSize) return "GOAWAY: bad size";
  if (bytes[1] > 16) return "GOAWAY: bad code";
  goaway->code = bytes[1];
  goaway->text =
      absl::string_view(reinterpret_cast<const char*>(bytes.data()) + 2, bytes.size() - 2);
  return nullptr;
}

}  // namespace anywire::wire
