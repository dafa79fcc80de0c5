// SHA-256 (FIPS 180-4) of bytes that come piece by piece.
#ifndef ANYWIRE_EXAMPLES_FILECOPY_SHA256_H_
#define ANYWIRE_EXAMPLES_FILECOPY_SHA256_H_

#include <openssl/evp.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace anywire::examples {

class Sha256 {
 public:
  Sha256();
  void Update(absl::string_view bytes);
  // The 32 bytes. Called once, at last. INTERNAL when OpenSSL could not (no memory, or SHA-256 is
  // switched off).
  absl::StatusOr<std::string> Finish();

 private:
  struct Free {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };
  const std::unique_ptr<EVP_MD_CTX, Free> context_;
  bool ok_;
};

}  // namespace anywire::examples

#endif  // ANYWIRE_EXAMPLES_FILECOPY_SHA256_H_
