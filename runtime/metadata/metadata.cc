#include "anywire/metadata.h"

#include <algorithm>

#include "absl/base/attributes.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace anywire {
namespace {

constexpr size_t kMaxKeyLength = 256;
constexpr size_t kEntryOverhead = 32;  // RFC 7541, 4.1

bool IsKeyByte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
}

bool IsPrintable(char c) { return c >= 0x20 && c <= 0x7e; }

}  // namespace

Metadata::Metadata(std::initializer_list<std::pair<absl::string_view, absl::string_view>> entries) {
  entries_.reserve(entries.size());
  for (const auto& [key, value] : entries) Add(key, value);
}

void Metadata::Add(absl::string_view key, absl::string_view value) {
  entries_.emplace_back(std::string(key), std::string(value));
}

// Most calls have no metadata, and clear them all the same.
ABSL_ATTRIBUTE_NOINLINE void Metadata::ClearEntries() { entries_.clear(); }

std::optional<absl::string_view> Metadata::Get(absl::string_view key) const {
  for (const Entry& entry : entries_) {
    if (entry.first == key) return entry.second;
  }
  return std::nullopt;
}

std::vector<absl::string_view> Metadata::GetAll(absl::string_view key) const {
  std::vector<absl::string_view> values;
  for (const Entry& entry : entries_) {
    if (entry.first == key) values.push_back(entry.second);
  }
  return values;
}

size_t Metadata::ByteSize() const {
  size_t size = 0;
  for (const Entry& entry : entries_) {
    size += entry.first.size() + entry.second.size() + kEntryOverhead;
  }
  return size;
}

absl::Status Metadata::Check() const {
  for (const Entry& entry : entries_) {
    if (absl::Status status = CheckEntry(entry.first, entry.second); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status Metadata::CheckEntry(absl::string_view key, absl::string_view value) {
  if (key.empty()) return absl::InvalidArgumentError("metadata: a key is empty");
  if (key.size() > kMaxKeyLength) {
    return absl::InvalidArgumentError(
        absl::StrCat("metadata: a key has ", key.size(), " bytes; at most ", kMaxKeyLength,
                     " are allowed: ", absl::CHexEscape(key.substr(0, 32)), "..."));
  }
  if (!std::all_of(key.begin(), key.end(), IsKeyByte)) {
    return absl::InvalidArgumentError(absl::StrCat("metadata: key \"", absl::CHexEscape(key),
                                                   "\" has a character other than a-z 0-9 _ . -"));
  }
  if (absl::StartsWith(key, "anywire-") || absl::StartsWith(key, "grpc-")) {
    return absl::InvalidArgumentError(
        absl::StrCat("metadata: key \"", key, "\" is reserved (anywire-, grpc-)"));
  }
  if (!absl::EndsWith(key, "-bin") && !std::all_of(value.begin(), value.end(), IsPrintable)) {
    return absl::InvalidArgumentError(
        absl::StrCat("metadata: the value of \"", key,
                     "\" is not printable ASCII; a key that ends in -bin takes any bytes"));
  }
  return absl::OkStatus();
}

}  // namespace anywire
