#include "runtime/wire/metadata_block.h"

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "transports/varint.h"

namespace anywire::wire {
namespace {

constexpr size_t kEntryOverhead = 32;

absl::Status TooLarge(size_t limit) {
  return absl::ResourceExhaustedError(
      absl::StrCat("metadata has more than the ", limit, " bytes allowed"));
}

absl::Status TooMany(size_t limit) {
  return absl::ResourceExhaustedError(
      absl::StrCat("metadata has more than the ", limit, " entries allowed"));
}

}  // namespace

absl::Status CheckMetadata(const Metadata& metadata, const MetadataLimits& limits) {
  if (metadata.size() > limits.max_entries) return TooMany(limits.max_entries);
  if (metadata.ByteSize() > limits.max_size) return TooLarge(limits.max_size);
  return metadata.Check();
}

std::string EncodeMetadata(const Metadata& metadata) {
  size_t size = 0;
  for (const auto& [key, value] : metadata) size += StringSize(key) + StringSize(value);
  std::string block(VarintSize(size) + size, '\0');
  uint8_t* at = WriteVarint(size, reinterpret_cast<uint8_t*>(block.data()));
  for (const auto& [key, value] : metadata) at = WriteString(value, WriteString(key, at));
  return block;
}

bool DecodeMetadata(absl::string_view block, const MetadataLimits& limits, Metadata* metadata,
                    absl::Status* fault) {
  Reader reader(absl::MakeConstSpan(reinterpret_cast<const uint8_t*>(block.data()), block.size()));
  size_t byte_size = 0;
  size_t entries = 0;
  *fault = absl::OkStatus();
  while (!reader.done()) {
    absl::string_view key, value;
    if (!reader.ReadString(&key) || !reader.ReadString(&value)) return false;
    byte_size += key.size() + value.size() + kEntryOverhead;
    if (++entries > limits.max_entries) *fault = TooMany(limits.max_entries);
    if (byte_size > limits.max_size) *fault = TooLarge(limits.max_size);
    if (fault->ok()) *fault = Metadata::CheckEntry(key, value);
    if (!fault->ok()) return true;
    metadata->Add(key, value);
  }
  return true;
}

}  // namespace anywire::wire
