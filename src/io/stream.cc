#include "io/stream.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "io/tls.h"

namespace sallyport::io {
namespace {

constexpr std::size_t kMostParts = 64;             // per system call
constexpr std::size_t kTlsRecord = 16 * 1024;      // RFC 8446 section 5.1

}  // namespace

void Stream::FreeSsl::operator()(ssl_st* ssl) const noexcept { SSL_free(ssl); }

Stream::Stream(int fd, const TlsContext* tls) : fd_(fd), handshaken_(tls == nullptr) {
  if (tls == nullptr) return;
  ssl_.reset(SSL_new(tls->native()));
  if (ssl_ == nullptr || SSL_set_fd(ssl_.get(), fd_) != 1) {
    ssl_.reset();  // out of memory: the first handshake call fails, the connection is dropped
    return;
  }
  SSL_set_accept_state(ssl_.get());
}

Stream::~Stream() { close(); }

IoStatus Stream::tls_status(int result, std::string* why) {
  const int error = SSL_get_error(ssl_.get(), result);
  switch (error) {
    case SSL_ERROR_WANT_READ: return IoStatus::kWantRead;
    case SSL_ERROR_WANT_WRITE: return IoStatus::kWantWrite;
    case SSL_ERROR_ZERO_RETURN: return IoStatus::kEof;
    default:
      if (why != nullptr) {
        const long verified = SSL_get_verify_result(ssl_.get());
        *why = verified == X509_V_OK ? openssl_error() : X509_verify_cert_error_string(verified);
      }
      // The queue is the thread's; what is left in it would be taken for the next connection's fault.
      ERR_clear_error();
      return IoStatus::kError;
  }
}

IoStatus Stream::handshake(std::string* why) {
  if (handshaken_) return IoStatus::kOk;
  if (ssl_ == nullptr) return IoStatus::kError;
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  if (result == 1) {
    handshaken_ = true;
    return IoStatus::kOk;
  }
  return tls_status(result, why);
}

std::shared_ptr<const std::string> Stream::peer_certificate() const {
  if (ssl_ == nullptr || !handshaken_) return nullptr;
  const X509* const certificate = SSL_get0_peer_certificate(ssl_.get());
  if (certificate == nullptr || SSL_get_verify_result(ssl_.get()) != X509_V_OK) return nullptr;
  const int size = i2d_X509(certificate, nullptr);
  if (size <= 0) return nullptr;
  auto der = std::make_shared<std::string>(static_cast<std::size_t>(size), '\0');
  auto* out = reinterpret_cast<unsigned char*>(der->data());
  if (i2d_X509(certificate, &out) != size) return nullptr;
  return der;
}

IoResult Stream::receive(std::span<char> buffer, int flags) const {
  const ssize_t size = ::recv(fd_, buffer.data(), buffer.size(), flags);
  if (size > 0) return {IoStatus::kOk, static_cast<std::size_t>(size)};
  if (size == 0) return {IoStatus::kEof};
  if (errno == EAGAIN || errno == EINTR) return {IoStatus::kWantRead};
  return {IoStatus::kError};
}

IoResult Stream::peek(std::span<char> buffer) const { return receive(buffer, MSG_PEEK); }

bool Stream::skip(std::size_t bytes) const {
  // MSG_TRUNC: TCP discards what it would have copied.
  return ::recv(fd_, nullptr, bytes, MSG_TRUNC) == static_cast<ssize_t>(bytes);
}

void Stream::readable_from(std::size_t bytes) const {
  const int least = static_cast<int>(bytes);
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVLOWAT, &least, sizeof least);
}

IoResult Stream::read(std::span<char> buffer) {
  if (ssl_ == nullptr) return receive(buffer, 0);
  std::size_t total = 0;
  while (total < buffer.size()) {
    std::size_t size = 0;
    ERR_clear_error();
    const int result = SSL_read_ex(ssl_.get(), buffer.data() + total, buffer.size() - total, &size);
    if (result != 1) {
      // What was read before is delivered first; the condition shows up again on the next call.
      if (total > 0) break;
      return {tls_status(result)};
    }
    total += size;
    if (SSL_has_pending(ssl_.get()) == 0) break;
  }
  return {IoStatus::kOk, total};
}

IoResult Stream::write(std::span<const std::string_view> parts) {
  return ssl_ == nullptr ? write_plain(parts) : write_tls(parts);
}

IoResult Stream::write_plain(std::span<const std::string_view> parts) {
  ssize_t size = 0;
  if (parts.size() == 1) {
    size = ::send(fd_, parts[0].data(), parts[0].size(), MSG_NOSIGNAL);
  } else {
    std::array<iovec, kMostParts> vectors;
    const std::size_t count = std::min(parts.size(), kMostParts);
    for (std::size_t i = 0; i < count; ++i) {
      vectors[i] = {const_cast<char*>(parts[i].data()), parts[i].size()};
    }
    msghdr message{};
    message.msg_iov = vectors.data();
    message.msg_iovlen = count;
    size = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
  }
  if (size >= 0) return {IoStatus::kOk, static_cast<std::size_t>(size)};
  if (errno == EAGAIN || errno == EINTR) return {IoStatus::kWantWrite};
  return {IoStatus::kError};
}

IoResult Stream::write_tls(std::span<const std::string_view> parts) {
  // Small parts share a record: each record costs a header, a tag and, unbuffered, a system call.
  std::array<char, kTlsRecord> record;
  std::size_t total = 0;
  std::size_t part = 0;
  std::size_t offset = 0;
  while (part < parts.size()) {
    // What was refused before goes again exactly as it was, so that it is known how much is committed.
    const std::size_t most = committed_ != 0 ? committed_ : record.size();
    std::string_view piece = parts[part].substr(offset, most);
    if (piece.size() < most && part + 1 < parts.size()) {
      std::size_t filled = 0;
      for (std::size_t i = part, from = offset; i < parts.size() && filled < most; ++i, from = 0) {
        const std::string_view rest = parts[i].substr(from, most - filled);
        std::copy(rest.begin(), rest.end(), record.begin() + static_cast<std::ptrdiff_t>(filled));
        filled += rest.size();
      }
      piece = {record.data(), filled};
    }
    if (piece.empty()) break;
    std::size_t size = 0;
    ERR_clear_error();
    const int result = SSL_write_ex(ssl_.get(), piece.data(), piece.size(), &size);
    if (result != 1) {
      committed_ = static_cast<std::uint16_t>(piece.size());
      if (total > 0) break;
      return {tls_status(result)};
    }
    committed_ = 0;
    total += size;
    while (part < parts.size() && size >= parts[part].size() - offset) {
      size -= parts[part].size() - offset;
      ++part;
      offset = 0;
    }
    offset += size;
  }
  return {IoStatus::kOk, total};
}

bool Stream::has_buffered() const noexcept {
  return ssl_ != nullptr && SSL_has_pending(ssl_.get()) == 1;
}

std::optional<std::size_t> Stream::unacknowledged() const noexcept {
  int bytes = 0;
  if (fd_ < 0 || ::ioctl(fd_, SIOCOUTQ, &bytes) != 0 || bytes < 0) return std::nullopt;
  return static_cast<std::size_t>(bytes);
}

void Stream::shutdown_write() {
  if (ssl_ != nullptr && handshaken_) {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());  // best effort: the FIN follows in any case
    ERR_clear_error();
  }
  ::shutdown(fd_, SHUT_WR);
}

void Stream::close() noexcept {
  if (fd_ < 0) return;
  ssl_.reset();
  ::close(fd_);
  fd_ = -1;
}

}  // namespace sallyport::io
