#include "io/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

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

// Certificates between a client's and the one that is trusted.
constexpr int kIntermediatesMax = 4;

// OpenSSL resumes a session without looking at its certificate again, hours later perhaps.
SSL_TICKET_RETURN on_ticket(SSL*, SSL_SESSION* session, const unsigned char*, std::size_t,
                            SSL_TICKET_STATUS status, void*) {
  switch (status) {
    case SSL_TICKET_SUCCESS:
    case SSL_TICKET_SUCCESS_RENEW: break;
    case SSL_TICKET_EMPTY:
    case SSL_TICKET_NO_DECRYPT: return SSL_TICKET_RETURN_IGNORE_RENEW;
    default: return SSL_TICKET_RETURN_ABORT;
  }
  const X509* const certificate = SSL_SESSION_get0_peer(session);
  if (certificate != nullptr && (X509_cmp_current_time(X509_get0_notBefore(certificate)) >= 0 ||
                                 X509_cmp_current_time(X509_get0_notAfter(certificate)) <= 0)) {
    return SSL_TICKET_RETURN_IGNORE_RENEW;
  }
  return status == SSL_TICKET_SUCCESS ? SSL_TICKET_RETURN_USE : SSL_TICKET_RETURN_USE_RENEW;
}

std::string fault_of(const std::string& file, const char* what) {
  const bool cannot_be_opened = ERR_SYSTEM_ERROR(ERR_peek_error());
  return file + ": " + (cannot_be_opened ? "cannot be opened" : what) + ": " + openssl_error();
}

std::unexpected<std::string> fault(const std::string& file, const char* what) {
  return std::unexpected(fault_of(file, what));
}

// Without one of ours OpenSSL asks the terminal and waits.
int refuse_passphrase(char*, int, int, void*) { return -1; }

PairFaults use_pair(SSL_CTX* context, const std::string& certificate_file, const std::string& key_file) {
  PairFaults faults;
  ERR_clear_error();  // what others have left would be told of these files
  if (SSL_CTX_use_certificate_chain_file(context, certificate_file.c_str()) != 1) {
    faults.certificate = fault_of(certificate_file, "cannot be read as a PEM certificate chain");
  }
  SSL_CTX_set_default_passwd_cb(context, refuse_passphrase);
  ERR_clear_error();
  if (SSL_CTX_use_PrivateKey_file(context, key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    const unsigned long code = ERR_peek_error();
    if (ERR_SYSTEM_ERROR(code)) {
      faults.key = fault_of(key_file, "");
    } else if (ERR_GET_LIB(code) == ERR_LIB_X509) {
      faults.key = key_file + ": does not belong to the certificate";
    } else {
      faults.key = key_file + ": the private key is encrypted or not one that OpenSSL can read";
    }
  } else if (faults.certificate.empty() && SSL_CTX_check_private_key(context) != 1) {
    faults.key = key_file + ": does not belong to the certificate";
  }
  ERR_clear_error();
  return faults;
}

std::expected<void, std::string> ask_clients(SSL_CTX* context, const ClientAuth& client) {
  constexpr const char* kUnusable = "cannot be read as PEM certificates";
  // A store of its own: the context's is also where a chain for our certificate would be looked for.
  X509_STORE* const store = X509_STORE_new();
  if (store == nullptr || SSL_CTX_set1_verify_cert_store(context, store) != 1) {
    X509_STORE_free(store);
    return std::unexpected("TLS cannot be set up: " + openssl_error());
  }
  X509_STORE_free(store);  // the context holds it
  ERR_clear_error();
  if (X509_STORE_load_file(store, client.ca_file.c_str()) != 1) return fault(client.ca_file, kUnusable);
  STACK_OF(X509_NAME)* const names = SSL_load_client_CA_file(client.ca_file.c_str());
  if (names == nullptr) return fault(client.ca_file, kUnusable);
  SSL_CTX_set_client_CA_list(context, names);

  X509_VERIFY_PARAM* const param = SSL_CTX_get0_param(context);
  X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_CLIENT);
  X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
  X509_VERIFY_PARAM_set_depth(param, kIntermediatesMax);
  const bool required = client.ask == ClientAuth::Ask::kRequired;
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | (required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), nullptr);

  // Without a context OpenSSL refuses to resume a session that has a certificate. The keys of the tickets are
  // this SSL_CTX's own, so that no other one can open them; the name need not be unique.
  constexpr std::string_view kSessionContext = "sallyport";
  SSL_CTX_set_session_id_context(context, reinterpret_cast<const unsigned char*>(kSessionContext.data()),
                                 kSessionContext.size());
  SSL_CTX_set_session_ticket_cb(context, nullptr, on_ticket, nullptr);
  return {};
}

}  // namespace

std::string openssl_error() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "no further detail";
  if (ERR_SYSTEM_ERROR(code)) return std::strerror(ERR_GET_REASON(code));
  const char* const text = ERR_reason_error_string(code);
  return text != nullptr ? text : "error " + std::to_string(code);
}

PairFaults check_pair(const std::string& certificate_file, const std::string& key_file) {
  SSL_CTX* const context = SSL_CTX_new(TLS_server_method());
  if (context == nullptr) return {.certificate = "TLS cannot be set up: " + openssl_error(), .key = {}};
  PairFaults faults = use_pair(context, certificate_file, key_file);
  SSL_CTX_free(context);
  return faults;
}

TlsContext::~TlsContext() { SSL_CTX_free(context_); }

std::expected<std::shared_ptr<const TlsContext>, std::string> TlsContext::load(
    const std::string& certificate_file, const std::string& key_file, const ClientAuth& client) {
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

  PairFaults faults = use_pair(context, certificate_file, key_file);
  if (!faults.certificate.empty()) return std::unexpected(std::move(faults.certificate));
  if (!faults.key.empty()) return std::unexpected(std::move(faults.key));
  if (client.ask != ClientAuth::Ask::kNothing) {
    if (auto done = ask_clients(context, client); !done) return std::unexpected(std::move(done.error()));
  }
  return owner;
}

}  // namespace sallyport::io
