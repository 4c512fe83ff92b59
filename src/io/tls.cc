#include "io/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <cstring>
#include <string_view>
#include <utility>

namespace sallyport::io {
namespace {

// RFC 7301: a WebSocket handshake is HTTP/1.1. A client that offers other protocols only is let through
// without one, as servers without ALPN do.
int select_http11(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in,
                  unsigned in_size, void*) {
  constexpr std::string_view kHttp11 = "http/1.1";
  for (unsigned i = 0; i < in_size; i += 1U + in[i]) {
    const unsigned size = in[i];
    if (i + 1 + size > in_size) break;
    if (size == kHttp11.size() && std::memcmp(in + i + 1, kHttp11.data(), size) == 0) {
      *out = in + i + 1;
      *out_size = static_cast<unsigned char>(size);
      return SSL_TLSEXT_ERR_OK;
    }
  }
  return SSL_TLSEXT_ERR_NOACK;
}

std::unexpected<std::string> fault(const std::string& file, const char* what) {
  return std::unexpected(file + ": " + what + ": " + openssl_error());
}

}  // namespace

std::string openssl_error() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "no further detail";
  const char* const text = ERR_reason_error_string(code);
  return text != nullptr ? text : "error " + std::to_string(code);
}

TlsContext::~TlsContext() { SSL_CTX_free(context_); }

std::expected<std::shared_ptr<const TlsContext>, std::string> TlsContext::load(
    const std::string& certificate_file, const std::string& key_file) {
  SSL_CTX* const context = SSL_CTX_new(TLS_server_method());
  if (context == nullptr) return std::unexpected("TLS cannot be set up: " + openssl_error());
  auto owner = std::make_shared<const TlsContext>(context);

  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  // Forward secrecy and AEAD only for 1.2; the 1.3 suites are all of that kind.
  SSL_CTX_set_cipher_list(context, "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL:!SHA1");
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                   SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
                                   SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // Sessions live in tickets that the client keeps, never in a cache of ours.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, 1);
  SSL_CTX_set_alpn_select_cb(context, select_http11, nullptr);

  if (SSL_CTX_use_certificate_chain_file(context, certificate_file.c_str()) != 1) {
    return fault(certificate_file, "cannot be read as a PEM certificate chain");
  }
  if (SSL_CTX_use_PrivateKey_file(context, key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    return fault(key_file, "cannot be read as a PEM private key for that certificate");
  }
  if (SSL_CTX_check_private_key(context) != 1) {
    return fault(key_file, "does not belong to the certificate");
  }
  return owner;
}

}  // namespace sallyport::io
