// What a .proto file says about services, as plain values: what code is generated from.
//
// Names are the schema's own; what becomes of them in C++ is decided in codegen/names.h.
#ifndef ANYWIRE_IDL_SERVICE_MODEL_H_
#define ANYWIRE_IDL_SERVICE_MODEL_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace google::protobuf {
class FileDescriptor;
}

namespace anywire::idl {

// A place in a .proto file; line and column count from 1, and are 0 when protoc was given no
// source.
struct Location {
  std::string file;
  int line = 0;
  int column = 0;
};

// Why no code can be generated from a schema.
struct Problem {
  Location where;
  std::string text;

  // "greeter.proto:12:3: text", the form that protoc itself uses.
  std::string ToString() const;
};

enum class CallShape { kUnary, kClientStreaming, kServerStreaming, kBidiStreaming };

// A message or an enum: where it is defined, and its name within the package from the outermost
// message inwards.
struct TypeName {
  std::string package;
  std::vector<std::string> path;

  // "package.Outer.Inner"
  std::string FullName() const;
};

// The words that stand at a declaration, without their comment signs. Empty or ending in a newline.
struct Comment {
  std::string leading;
  std::string trailing;
};

struct Method {
  std::string name;
  CallShape shape = CallShape::kUnary;
  TypeName request;
  TypeName reply;
  bool deprecated = false;
  // Of the method, else of its service. Infinite when it is said to be; none when nothing is said.
  std::optional<absl::Duration> default_timeout;
  Comment comment;
  Location location;
};

struct Service {
  std::string name;
  std::string full_name;
  bool deprecated = false;
  std::vector<Method> methods;
  Comment comment;
  Location location;
};

struct File {
  // As protoc calls it: "foo/bar.proto".
  std::string path;
  std::string package;
  Location package_location;
  std::vector<Service> services;
  // The messages and enums of this package that the file defines or imports, directly or not.
  std::vector<TypeName> package_types;
  // Set when the file asks protobuf itself for service classes (option cc_generic_services).
  std::optional<Location> generic_services;
};

// The model of a file. Options that mean nothing are appended to `problems`; the model is of no use
// then.
File BuildFile(const google::protobuf::FileDescriptor& file, std::vector<Problem>& problems);

}  // namespace anywire::idl

#endif  // ANYWIRE_IDL_SERVICE_MODEL_H_
