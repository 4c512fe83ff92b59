#include "io/http_connection.h"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <utility>
#include <variant>
#include <vector>

#include "io/tls.h"

namespace sallyport::io {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::uint32_t kHeadBytesMax = 16 * 1024;
constexpr std::size_t kBufferBytesMax = 64 * 1024;
constexpr std::size_t kAddressesMax = 8;   // of one name; the deadline is shared among them
constexpr int kInterimRepliesMax = 4;      // 1xx, which a server may send before the reply (RFC 9110 section 15.2)
constexpr std::chrono::milliseconds kAttemptMin{250};

using PlainStream = beast::tcp_stream;
using TlsStream = asio::ssl::stream<beast::tcp_stream>;
using ReplyParser = beast::http::response_parser<beast::http::string_body>;

HttpFailure failure(HttpError code, const HttpUrl& url, std::string_view what) {
  return {code, url.origin() + " " + std::string(what)};
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return result;
}

bool is_connection_end(const error_code& error) {
  return error == beast::http::error::end_of_stream || error == asio::error::eof ||
         error == asio::error::connection_reset || error == asio::error::broken_pipe ||
         error == asio::ssl::error::stream_truncated;
}

HttpFailure failure_of(const error_code& error, const HttpUrl& url, std::size_t body_bytes) {
  namespace http = beast::http;
  if (error == beast::error::timeout) return failure(HttpError::kTimeout, url, "did not answer in time");
  if (error == http::error::body_limit) {
    return failure(HttpError::kTooLarge, url, "answers with more than " + std::to_string(body_bytes) + " bytes");
  }
  if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    return failure(HttpError::kTooLarge, url, "answers with more header fields than are read here");
  }
  if (error == http::error::partial_message || error == asio::ssl::error::stream_truncated) {
    return failure(HttpError::kBadReply, url, "ended the connection in the middle of its answer");
  }
  if (is_connection_end(error)) return failure(HttpError::kBadReply, url, "ended the connection without an answer");
  if (error == asio::error::operation_aborted) return failure(HttpError::kConnect, url, "is not asked any more");
  // Beast's errors of form speak of HTTP, never of what was received.
  return failure(HttpError::kBadReply, url, "answers with what is not HTTP/1.1: " + error.message());
}

HttpReply reply_of(ReplyParser& parser) {
  auto& message = parser.get();
  HttpReply reply{.status = message.result_int()};
  for (const auto& field : message) {
    reply.fields.emplace_back(lower({field.name_string().data(), field.name_string().size()}),
                              std::string(field.value().data(), field.value().size()));
  }
  reply.body = std::move(message.body());
  return reply;
}

}  // namespace

std::shared_ptr<asio::ssl::context> make_client_tls() {
  error_code error;
  auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_client);
  SSL_CTX* const native = context->native_handle();
  if (SSL_CTX_set_default_verify_paths(native) != 1 ||
      SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION) != 1) {
    return nullptr;
  }
  context->set_verify_mode(asio::ssl::verify_peer, error);
  return error ? nullptr : context;
}

class HttpConnection::Impl {
 public:
  Impl(asio::io_context& context, const HttpUrl& to, std::shared_ptr<asio::ssl::context> settings)
      : url(to), tls(std::move(settings)), resolver(context) {
    if (url.tls && tls != nullptr) {
      stream.emplace<TlsStream>(context, *tls);
    } else {
      stream.emplace<PlainStream>(context);
    }
  }

  PlainStream& lowest() noexcept {
    if (auto* const secured = std::get_if<TlsStream>(&stream)) return secured->next_layer();
    return std::get<PlainStream>(stream);
  }

  asio::awaitable<std::optional<HttpFailure>> resolve(std::vector<tcp::endpoint>& endpoints);
  asio::awaitable<std::optional<HttpFailure>> connect(const std::vector<tcp::endpoint>& endpoints,
                                                      HttpDeadline deadline);
  asio::awaitable<std::optional<HttpFailure>> handshake(TlsStream& secured, HttpDeadline deadline);
  template <typename Stream>
  asio::awaitable<Answer> ask(Stream& to, const base::Secret& text, bool head, std::size_t body_bytes);

  const HttpUrl url;
  const std::shared_ptr<asio::ssl::context> tls;
  tcp::resolver resolver;
  std::variant<std::monostate, PlainStream, TlsStream> stream;
  beast::flat_buffer buffer{kBufferBytesMax};
  bool is_cut = false;
};

asio::awaitable<std::optional<HttpFailure>> HttpConnection::Impl::resolve(std::vector<tcp::endpoint>& endpoints) {
  error_code no_address;
  const auto address = asio::ip::make_address(url.host, no_address);
  if (!no_address) {
    endpoints.emplace_back(address, url.port);
    co_return std::nullopt;
  }
  if (url.host == "localhost") {  // RFC 6761 section 6.3: never asked of anybody
    endpoints.emplace_back(asio::ip::address_v4::loopback(), url.port);
    endpoints.emplace_back(asio::ip::address_v6::loopback(), url.port);
    co_return std::nullopt;
  }
  error_code error;
  const auto results = co_await resolver.async_resolve(url.host, std::to_string(url.port),
                                                       asio::redirect_error(asio::use_awaitable, error));
  if (error || results.empty()) {
    co_return failure(HttpError::kResolve, url, "cannot be found: " + error.message());
  }
  for (const auto& result : results) {
    if (endpoints.size() < kAddressesMax) endpoints.push_back(result.endpoint());
  }
  co_return std::nullopt;
}

// One address that swallows packets must not use up the time of the others.
asio::awaitable<std::optional<HttpFailure>> HttpConnection::Impl::connect(
    const std::vector<tcp::endpoint>& endpoints, HttpDeadline deadline) {
  error_code error;
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    const auto now = std::chrono::steady_clock::now();
    const auto share = (deadline - now) / static_cast<std::ptrdiff_t>(endpoints.size() - i);
    lowest().expires_at(std::min(deadline, now + std::max<HttpDeadline::duration>(share, kAttemptMin)));
    error.clear();
    co_await lowest().async_connect(endpoints[i], asio::redirect_error(asio::use_awaitable, error));
    if (is_cut) co_return failure(HttpError::kConnect, url, "is not asked any more");
    if (!error) {
      error_code ignored;
      lowest().socket().set_option(tcp::no_delay(true), ignored);
      co_return std::nullopt;
    }
    if (std::chrono::steady_clock::now() >= deadline) break;
  }
  if (error == beast::error::timeout) {
    co_return failure(HttpError::kTimeout, url, "did not take the connection in time");
  }
  co_return failure(HttpError::kConnect, url, "does not take connections: " + error.message());
}

asio::awaitable<std::optional<HttpFailure>> HttpConnection::Impl::handshake(TlsStream& secured,
                                                                            HttpDeadline deadline) {
  SSL* const ssl = secured.native_handle();
  X509_VERIFY_PARAM* const wanted = SSL_get0_param(ssl);
  // The common name is no longer a host's name (RFC 9525 section 2).
  X509_VERIFY_PARAM_set_hostflags(wanted, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  error_code no_address;
  (void)asio::ip::make_address(url.host, no_address);
  // Server Name Indication is for names only (RFC 6066 section 3).
  const bool prepared = no_address ? X509_VERIFY_PARAM_set1_host(wanted, url.host.c_str(), url.host.size()) == 1 &&
                                         SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                                                  const_cast<char*>(url.host.c_str())) == 1
                                   : X509_VERIFY_PARAM_set1_ip_asc(wanted, url.host.c_str()) == 1;
  if (!prepared) co_return failure(HttpError::kTls, url, "cannot be asked: " + openssl_error());
  lowest().expires_at(deadline);
  error_code error;
  co_await secured.async_handshake(asio::ssl::stream_base::client,
                                   asio::redirect_error(asio::use_awaitable, error));
  if (!error) co_return std::nullopt;
  if (error == beast::error::timeout) {
    co_return failure(HttpError::kTimeout, url, "did not complete the TLS handshake in time");
  }
  const long verdict = SSL_get_verify_result(ssl);
  if (verdict != X509_V_OK) {
    co_return failure(HttpError::kTls, url,
                      std::string("has a certificate that is not accepted: ") +
                          X509_verify_cert_error_string(verdict) +
                          "; certificates are checked against the system's store, or SSL_CERT_FILE");
  }
  co_return failure(HttpError::kTls, url, "did not complete the TLS handshake: " + error.message());
}

template <typename Stream>
asio::awaitable<HttpConnection::Answer> HttpConnection::Impl::ask(Stream& to, const base::Secret& text, bool head,
                                                                  std::size_t body_bytes) {
  error_code error;
  const std::string_view request = text.reveal();
  co_await asio::async_write(to, asio::buffer(request.data(), request.size()),
                             asio::redirect_error(asio::use_awaitable, error));
  // A server that refuses early may close while we still write; its reply is lost with it.
  if (error) {
    co_return Answer{.reply = std::unexpected(failure_of(error, url, body_bytes)),
                     .untouched = is_connection_end(error)};
  }
  for (int interim = 0; interim <= kInterimRepliesMax; ++interim) {
    ReplyParser parser;
    parser.header_limit(kHeadBytesMax);
    parser.body_limit(body_bytes);
    parser.skip(head);
    co_await beast::http::async_read(to, buffer, parser, asio::redirect_error(asio::use_awaitable, error));
    if (error) {
      co_return Answer{.reply = std::unexpected(failure_of(error, url, body_bytes)),
                       .untouched = interim == 0 && !parser.got_some() && is_connection_end(error)};
    }
    const unsigned status = parser.get().result_int();
    if (status == 101) break;  // nobody asked for another protocol
    if (status < 200) continue;
    // Whatever follows the reply was not asked for; nobody must take it for the next one.
    const bool reusable = parser.keep_alive() && buffer.size() == 0;
    co_return Answer{.reply = reply_of(parser), .reusable = reusable};
  }
  co_return Answer{.reply = std::unexpected(failure(HttpError::kBadReply, url, "answers with interim replies only"))};
}

HttpConnection::HttpConnection(asio::io_context& context, const HttpUrl& url,
                               std::shared_ptr<asio::ssl::context> tls)
    : impl_(std::make_unique<Impl>(context, url, std::move(tls))) {}

HttpConnection::~HttpConnection() = default;

asio::awaitable<std::optional<HttpFailure>> HttpConnection::open(HttpDeadline deadline) {
  if (impl_->url.tls && impl_->tls == nullptr) {
    co_return failure(HttpError::kTls, impl_->url, "cannot be asked: TLS cannot be set up here");
  }
  std::vector<tcp::endpoint> endpoints;
  if (auto failed = co_await impl_->resolve(endpoints)) co_return failed;
  if (impl_->is_cut) co_return failure(HttpError::kConnect, impl_->url, "is not asked any more");
  if (auto failed = co_await impl_->connect(endpoints, deadline)) co_return failed;
  if (auto* const secured = std::get_if<TlsStream>(&impl_->stream)) {
    co_return co_await impl_->handshake(*secured, deadline);
  }
  co_return std::nullopt;
}

asio::awaitable<HttpConnection::Answer> HttpConnection::ask(const base::Secret& text, bool head,
                                                            std::size_t body_bytes, HttpDeadline deadline) {
  impl_->lowest().expires_at(deadline);
  if (auto* const secured = std::get_if<TlsStream>(&impl_->stream)) {
    co_return co_await impl_->ask(*secured, text, head, body_bytes);
  }
  co_return co_await impl_->ask(std::get<PlainStream>(impl_->stream), text, head, body_bytes);
}

void HttpConnection::cut() noexcept {
  impl_->is_cut = true;
  impl_->resolver.cancel();
  impl_->lowest().close();
}

// Over TLS a close_notify or a late session ticket also counts as said: another connection costs little.
bool HttpConnection::quiet() noexcept {
  char byte = 0;
  const auto got = ::recv(impl_->lowest().socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

}  // namespace sallyport::io
