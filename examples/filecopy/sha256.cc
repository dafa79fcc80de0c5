#include "examples/filecopy/sha256.h"

#include "absl/status/status.h"

namespace anywire::examples {

Sha256::Sha256()
    : context_(EVP_MD_CTX_new()),
      ok_(context_ != nullptr && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1) {}

void Sha256::Update(absl::string_view bytes) {
  ok_ = ok_ && EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1;
}

absl::StatusOr<std::string> Sha256::Finish() {
  std::string digest(32, '\0');
  unsigned int size = 0;
  ok_ = ok_ && EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(digest.data()),
                                  &size) == 1;
  if (!ok_ || size != digest.size()) return absl::InternalError("OpenSSL did not make a SHA-256");
  return digest;
}

}  // namespace anywire::examples
