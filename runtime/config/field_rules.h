// What a field's value may be: the rules of idl/config.proto, applied.
#ifndef ANYWIRE_RUNTIME_CONFIG_FIELD_RULES_H_
#define ANYWIRE_RUNTIME_CONFIG_FIELD_RULES_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "idl/config.pb.h"
#include "runtime/config/value.h"

namespace anywire::config {

// "1h30m", "0.5s", "inf"; not negative, and never without a unit.
std::optional<absl::Duration> ParseDurationText(absl::string_view text);
// "64KiB": a whole number and one unit. In bytes.
std::optional<uint64_t> ParseSizeText(absl::string_view text);
// "660" or "0660". As chmod(2) takes it.
std::optional<uint32_t> ParseFileModeText(absl::string_view text);

// What is wrong with a value and what would be right.
struct Complaint {
  std::string what;
  std::string allowed;
};

// For a string field and a COUNT field. The value is a scalar as it was read; none means that all
// is well.
std::optional<Complaint> CheckText(const Rule& rule, const Value& value);
std::optional<Complaint> CheckCount(const Rule& rule, const Value& value, uint32_t& count);

// The URI that was probably meant by a text without a scheme: "tcp://host:80" for "host:80"; "" for
// no idea.
std::string GuessUri(absl::string_view text);

// What values the rule allows, for people: "1 to 1024".
std::string AllowedBy(const Rule& rule);

}  // namespace anywire::config

#endif  // ANYWIRE_RUNTIME_CONFIG_FIELD_RULES_H_
