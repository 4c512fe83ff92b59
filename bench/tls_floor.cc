// What OpenSSL itself keeps for one idle TLS 1.3 server connection, under the settings of src/io/tls.cc: the part of
// the memory per connection that no server on this library can go below. Prints one JSON line.

#include <malloc.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <utility>

namespace {

// OpenSSL's allocator takes plain function pointers without a context, hence the one global.
struct Account {
  bool open = false;  // whether allocations belong to the connection that is measured
  std::map<void*, std::size_t> live;
  std::size_t bytes = 0;
} account;

void enter(void* block) {
  if (!account.open || block == nullptr) return;
  const std::size_t size = malloc_usable_size(block) + sizeof(std::size_t);  // and malloc's own word
  account.live[block] = size;
  account.bytes += size;
}

bool leave(void* block) {
  const auto found = account.live.find(block);
  if (found == account.live.end()) return false;
  account.bytes -= found->second;
  account.live.erase(found);
  return true;
}

void* allocate(std::size_t size, const char*, int) {
  void* const block = std::malloc(size);
  enter(block);
  return block;
}

void release(void* block, const char*, int) {
  leave(block);
  std::free(block);
}

void* reallocate(void* block, std::size_t size, const char*, int) {
  const bool ours = leave(block);
  void* const moved = std::realloc(block, size);
  const bool open = std::exchange(account.open, account.open || ours);
  enter(moved);
  account.open = open;
  return moved;
}

SSL_CTX* server_context() {
  SSL_CTX* const context = SSL_CTX_new(TLS_server_method());
  EVP_PKEY* const key = EVP_EC_gen("P-256");
  X509* const certificate = X509_new();
  X509_set_pubkey(certificate, key);
  X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_sign(certificate, key, EVP_sha256());
  SSL_CTX_use_certificate(context, certificate);
  SSL_CTX_use_PrivateKey(context, key);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, 1);
  return context;
}

// Opens a connection, echoes two bytes, and leaves it open; what the server's side allocates is counted if asked.
void connect(SSL_CTX* server, SSL_CTX* client, bool count) {
  BIO* near = nullptr;
  BIO* far = nullptr;
  BIO_new_bio_pair(&near, 64 * 1024, &far, 64 * 1024);
  SSL* const peer = SSL_new(client);
  SSL_set_bio(peer, far, far);
  SSL_set_connect_state(peer);
  const auto counted = [count](auto&& work) {
    account.open = count;
    work();
    account.open = false;
  };
  SSL* ours = nullptr;
  counted([&] { ours = SSL_new(server); });
  SSL_set_bio(ours, near, near);
  SSL_set_accept_state(ours);
  char buffer[64];
  for (int i = 0; i < 8; ++i) {
    SSL_do_handshake(peer);
    counted([&] { SSL_do_handshake(ours); });
  }
  SSL_write(peer, "hi", 2);
  counted([&] {
    SSL_read(ours, buffer, sizeof buffer);
    SSL_write(ours, buffer, 2);
    SSL_read(ours, buffer, sizeof buffer);
  });
  SSL_read(peer, buffer, sizeof buffer);
  if (count) {
    std::printf("{\"library\":\"%s\",\"cipher\":\"%s\",\"bytes_per_connection\":%zu}\n",
                OpenSSL_version(OPENSSL_VERSION), SSL_get_cipher(ours), account.bytes);
  }
}

}  // namespace

int main() {
  if (CRYPTO_set_mem_functions(allocate, reallocate, release) != 1) return 1;
  SSL_CTX* const server = server_context();
  SSL_CTX* const client = SSL_CTX_new(TLS_client_method());
  connect(server, client, false);  // what is set up once belongs to nobody's connection
  connect(server, client, true);
}
