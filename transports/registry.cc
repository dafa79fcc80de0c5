#include "anywire/registry.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"

namespace anywire {
namespace {

// RFC 3986, section 3.1, in lower case.
bool IsScheme(absl::string_view text) {
  if (text.empty() || !absl::ascii_islower(text[0])) return false;
  return std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '+' || c == '-' || c == '.';
  });
}

}  // namespace

absl::Status TransportRegistry::Register(std::unique_ptr<Transport> transport) {
  const absl::string_view scheme = transport->scheme();
  if (!IsScheme(scheme)) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", absl::CHexEscape(scheme),
                     "\" cannot be a scheme: a letter, then letters, digits, '+', '-' and '.', all "
                     "in lower case"));
  }
  for (const std::unique_ptr<Transport>& known : transports_) {
    if (known->scheme() == scheme) {
      return absl::AlreadyExistsError(
          absl::StrCat("the scheme \"", scheme, "\" is registered already"));
    }
  }
  transports_.push_back(std::move(transport));
  return absl::OkStatus();
}

absl::StatusOr<TransportRegistry::Target> TransportRegistry::Resolve(absl::string_view uri) const {
  const size_t colon = uri.find(':');
  const std::string scheme = absl::AsciiStrToLower(uri.substr(0, colon));
  const auto known = [this] {
    return absl::StrJoin(transports_, ", ",
                         [](std::string* out, const std::unique_ptr<Transport>& transport) {
                           absl::StrAppend(out, transport->scheme(), ":");
                         });
  };
  if (colon == absl::string_view::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", absl::CHexEscape(uri), "\" has no scheme; known schemes: ", known()));
  }
  for (const std::unique_ptr<Transport>& transport : transports_) {
    if (transport->scheme() != scheme) continue;
    absl::string_view address = uri.substr(colon + 1);
    absl::ConsumePrefix(&address, "//");
    absl::Status status = transport->CheckAddress(address);
    if (!status.ok()) {
      return absl::Status(status.code(),
                          absl::StrCat("\"", absl::CHexEscape(uri), "\": ", status.message()));
    }
    return Target{transport.get(), std::string(address)};
  }
  return absl::InvalidArgumentError(absl::StrCat("\"", absl::CHexEscape(uri),
                                                 "\": unknown scheme \"", absl::CHexEscape(scheme),
                                                 "\"; known schemes: ", known()));
}

std::vector<Transport*> TransportRegistry::transports() const {
  std::vector<Transport*> result;
  for (const std::unique_ptr<Transport>& transport : transports_) {
    result.push_back(transport.get());
  }
  return result;
}

}  // namespace anywire
