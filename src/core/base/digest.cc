#include "core/base/digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <memory>
#include <string>

#include "core/base/assert.h"
#include "core/base/secret.h"

namespace sallyport::base {
namespace {

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
};
struct FreeDigest {
  void operator()(EVP_MD* digest) const noexcept { EVP_MD_free(digest); }
};

// Fetching an algorithm costs more than hashing a token does, so each thread fetches once.
class Hasher {
 public:
  explicit Hasher(const char* name)
      : digest_(EVP_MD_fetch(nullptr, name, nullptr)), context_(EVP_MD_CTX_new()) {
    SALLYPORT_ASSERT(digest_ != nullptr);
    SALLYPORT_ASSERT(context_ != nullptr);
  }
  template <typename Output>
  Output operator()(std::string_view data) {
    Output output;
    unsigned size = 0;
    SALLYPORT_ASSERT(EVP_DigestInit_ex2(context_.get(), digest_.get(), nullptr) == 1);
    SALLYPORT_ASSERT(EVP_DigestUpdate(context_.get(), data.data(), data.size()) == 1);
    SALLYPORT_ASSERT(EVP_DigestFinal_ex(context_.get(), output.data(), &size) == 1);
    SALLYPORT_ASSERT(size == output.size());
    return output;
  }

 private:
  std::unique_ptr<EVP_MD, FreeDigest> digest_;
  std::unique_ptr<EVP_MD_CTX, FreeContext> context_;
};

}  // namespace

Sha1 sha1(std::string_view data) {
  thread_local Hasher hasher("SHA1");
  return hasher.operator()<Sha1>(data);
}

Sha256 sha256(std::string_view data) {
  thread_local Hasher hasher("SHA256");
  return hasher.operator()<Sha256>(data);
}

Sha256 hmac_sha256(std::string_view key, std::string_view data) {
  Sha256 output;
  unsigned size = 0;
  SALLYPORT_ASSERT(HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
                        reinterpret_cast<const unsigned char*>(data.data()), data.size(),
                        output.data(), &size) != nullptr);
  SALLYPORT_ASSERT(size == output.size());
  return output;
}

std::string base64(std::string_view data) {
  std::string text(4 * ((data.size() + 2) / 3), '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                   reinterpret_cast<const unsigned char*>(data.data()),
                                   static_cast<int>(data.size()));
  text.resize(static_cast<std::size_t>(size));
  return text;
}

std::string hex(std::string_view data) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(2 * data.size());
  for (const char c : data) {
    const auto byte = static_cast<unsigned char>(c);
    text.push_back(kDigits[byte >> 4]);
    text.push_back(kDigits[byte & 15]);
  }
  return text;
}

void wipe(void* data, std::size_t size) noexcept {
  if (size != 0) OPENSSL_cleanse(data, size);
}

bool equal_constant_time(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace sallyport::base
