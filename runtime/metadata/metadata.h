// Metadata: the named values that travel beside a call's messages.
//
// As in gRPC: keys are lower case ([0-9a-z_.-], 1 to 256 bytes); a value is printable ASCII (0x20
// to 0x7e) unless its key ends in "-bin", then it is any bytes. A key may occur more than once;
// order is kept. Keys that begin with "anywire-" or "grpc-" are reserved. Not synchronised.
#ifndef ANYWIRE_RUNTIME_METADATA_METADATA_H_
#define ANYWIRE_RUNTIME_METADATA_METADATA_H_

#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace anywire {

class Metadata {
 public:
  using Entry = std::pair<std::string, std::string>;

  Metadata() = default;
  Metadata(std::initializer_list<std::pair<absl::string_view, absl::string_view>> entries);

  // Appends. Nothing is checked here, so that building one cannot fail half way: a call that is
  // given metadata which breaks a rule ends with INVALID_ARGUMENT and the rule's text (see Check)
  // before anything is sent.
  void Add(absl::string_view key, absl::string_view value);

  // The first value of `key`, or none. The view lives until the metadata changes.
  std::optional<absl::string_view> Get(absl::string_view key) const;
  // All values of `key`, in order.
  std::vector<absl::string_view> GetAll(absl::string_view key) const;

  bool empty() const { return entries_.empty(); }
  size_t size() const { return entries_.size(); }
  std::vector<Entry>::const_iterator begin() const { return entries_.begin(); }
  std::vector<Entry>::const_iterator end() const { return entries_.end(); }
  void Clear() {
    if (!empty()) ClearEntries();
  }

  // Bytes that count against the limit: key and value lengths plus 32 for each entry (RFC
  // 7541, 4.1).
  size_t ByteSize() const;

  // The first broken rule as INVALID_ARGUMENT, naming the key; OK when all hold.
  absl::Status Check() const;
  static absl::Status CheckEntry(absl::string_view key, absl::string_view value);

 private:
  void ClearEntries();

  std::vector<Entry> entries_;
};

}  // namespace anywire

#endif  // ANYWIRE_RUNTIME_METADATA_METADATA_H_
