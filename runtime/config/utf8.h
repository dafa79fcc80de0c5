// Reading UTF-8 (RFC 3629) one character at a time.
#ifndef ANYWIRE_RUNTIME_CONFIG_UTF8_H_
#define ANYWIRE_RUNTIME_CONFIG_UTF8_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace anywire::config {

// The first character of `text` and how many bytes it takes; size 0: `text` is empty or does not
// begin with one (a stray or missing continuation byte, an overlong form, a surrogate, a number
// above U+10FFFF).
struct Utf8Character {
  uint32_t code = 0;
  size_t size = 0;
};
Utf8Character FirstCharacter(absl::string_view text);

// How many bytes at the start of `text` are whole characters; text.size() when all of it is UTF-8.
size_t ValidUtf8Prefix(absl::string_view text);

// Appends the UTF-8 form of `code`, which is at most 0x10FFFF and no surrogate.
void AppendUtf8(uint32_t code, std::string& to);

}  // namespace anywire::config

#endif  // ANYWIRE_RUNTIME_CONFIG_UTF8_H_
