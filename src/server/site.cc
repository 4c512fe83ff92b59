#include "server/site.h"

#include <stdexcept>
#include <utility>

namespace sallyport::server {
namespace {

io::ClientAuth client_auth(const Tls& tls) {
  if (tls.client_certificate == ClientCertificate::kNone) return {};
  if (tls.client_ca_file.empty()) {
    throw std::invalid_argument("tls: client_certificate needs client_ca_file: who may have signed them?");
  }
  using Ask = io::ClientAuth::Ask;
  const bool required = tls.client_certificate == ClientCertificate::kRequired;
  return {.ask = required ? Ask::kRequired : Ask::kOptional, .ca_file = tls.client_ca_file};
}

}  // namespace

Site::Site(const AppOptions& given)
    : options(given),
      limits(options.limits),
      public_url(options.public_url),
      insecure_plaintext(options.insecure_plaintext),
      asks_for_certificates(options.tls && options.tls->client_certificate != ClientCertificate::kNone) {
  auto blocks = http::parse_cidr_list(options.trusted_proxies);
  if (!blocks) throw std::invalid_argument("trusted_proxies: " + blocks.error());
  trusted_proxies = std::move(*blocks);
  if (!options.tls) return;
  auto context = io::TlsContext::load(options.tls->certificate_file, options.tls->key_file,
                                      client_auth(*options.tls));
  if (!context) throw std::runtime_error(context.error());
  tls = std::move(*context);
}

}  // namespace sallyport::server
