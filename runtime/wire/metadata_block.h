// A block of metadata on the wire: a varint with the bytes that follow, then for each entry key and
// value, each a varint length and that many bytes.
#ifndef ANYWIRE_RUNTIME_WIRE_METADATA_BLOCK_H_
#define ANYWIRE_RUNTIME_WIRE_METADATA_BLOCK_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "anywire/metadata.h"

namespace anywire::wire {

struct MetadataLimits {
  size_t max_size = 16 << 10;  // Metadata::ByteSize
  size_t max_entries = 100;
};

// Whether `metadata` may be sent: INVALID_ARGUMENT for a broken rule, RESOURCE_EXHAUSTED for a
// limit.
absl::Status CheckMetadata(const Metadata& metadata, const MetadataLimits& limits);

// The block, its own length included.
std::string EncodeMetadata(const Metadata& metadata);

// Reads the entries of a block (without the length in front). False: malformed, which is a breach
// of the protocol. Otherwise `fault` says whether they keep the rules and limits, as CheckMetadata
// does, and `metadata` has them if so. Work and memory are bounded by the limits, whatever the
// block's size.
bool DecodeMetadata(absl::string_view block, const MetadataLimits& limits, Metadata* metadata,
                    absl::Status* fault);

}  // namespace anywire::wire

#endif  // ANYWIRE_RUNTIME_WIRE_METADATA_BLOCK_H_
