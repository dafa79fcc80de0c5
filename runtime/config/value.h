// A configuration file as it is written, before anyone asks what the keys mean: values with their
// places in the file. Both formats are read into it (text_reader.h, json_reader.h), so all that
// follows is the same for both.
#ifndef ANYWIRE_RUNTIME_CONFIG_VALUE_H_
#define ANYWIRE_RUNTIME_CONFIG_VALUE_H_

#include <string>
#include <vector>

#include "runtime/config/diagnostics.h"

namespace anywire::config {

// Braces and brackets within each other; the schema needs three.
inline constexpr int kMaxDepth = 32;

struct Member;

struct Value {
  enum Kind {
    kNothing,  // JSON's null
    kObject,   // `members`
    kList,     // `items`
    kString,   // `text` is its bytes, without quotes and escapes; valid UTF-8
    kNumber,   // `text` as written: "12", "-0x1f", "1.5e3"
    kWord,     // `text` as written: anything else without quotes, such as true or 30s
  };
  Kind kind = kNothing;
  Position at;  // its first character; of an object in text format that has a key: the key's
  std::string text;
  std::vector<Member> members;  // in the order of the file
  std::vector<Value> items;
};

struct Member {
  std::string key;
  Position at;
  Value value;
};

}  // namespace anywire::config

#endif  // ANYWIRE_RUNTIME_CONFIG_VALUE_H_
