// Lines of C++, indented and kept within 100 columns where their names allow it.
#ifndef ANYWIRE_CODEGEN_CODE_WRITER_H_
#define ANYWIRE_CODEGEN_CODE_WRITER_H_

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "idl/service_model.h"

namespace anywire::codegen {

class CodeWriter {
 public:
  // The parts joined make one line; none make an empty one.
  template <typename... Parts>
  void Line(const Parts&... parts) {
    WriteLine(absl::StrCat(parts...));
  }
  // head(parameters)tail, on as many lines as it takes.
  void Call(absl::string_view head, const std::vector<std::string>& parameters,
            absl::string_view tail);
  // Whatever the words are, they become comments and nothing else.
  void Comment(const idl::Comment& comment);

  void Indent(int columns) { indent_ += columns; }
  void Outdent(int columns) { indent_ -= columns; }

  const std::string& text() const { return text_; }

 private:
  void WriteLine(absl::string_view line);
  void CommentLines(absl::string_view words);
  bool Fits(absl::string_view line, int more_indent) const;

  std::string text_;
  int indent_ = 0;
};

}  // namespace anywire::codegen

#endif  // ANYWIRE_CODEGEN_CODE_WRITER_H_
