#include "server/test_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <thread>
#include <utility>

#include "core/base/random.h"
#include "core/ws/close_code.h"
#include "core/ws/deflate.h"
#include "core/ws/encoder.h"

namespace sallyport::server::test {
namespace {

constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";  // RFC 6455 section 1.3

Reply parse_head(std::string_view head) {
  Reply reply;
  reply.status = std::atoi(std::string(head.substr(std::min<std::size_t>(9, head.size()), 3)).c_str());
  std::size_t line = head.find("\r\n");
  while (line != std::string_view::npos && line + 2 < head.size()) {
    const std::size_t begin = line + 2;
    line = head.find("\r\n", begin);
    const std::string_view text = head.substr(begin, line - begin);
    const std::size_t colon = text.find(": ");
    if (colon == std::string_view::npos) continue;
    reply.fields.emplace_back(text.substr(0, colon), text.substr(colon + 2));
  }
  return reply;
}

void use_certificate(SSL* ssl, const io::test::Certificate& made) {
  const auto in = [](const std::string& pem) { return BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())); };
  BIO* const certificate_pem = in(made.certificate_pem);
  BIO* const key_pem = in(made.key_pem);
  X509* const certificate = PEM_read_bio_X509(certificate_pem, nullptr, nullptr, nullptr);
  EVP_PKEY* const key = PEM_read_bio_PrivateKey(key_pem, nullptr, nullptr, nullptr);
  SSL_use_certificate(ssl, certificate);
  SSL_use_PrivateKey(ssl, key);
  EVP_PKEY_free(key);
  X509_free(certificate);
  BIO_free(key_pem);
  BIO_free(certificate_pem);
}

// OpenSSL writes without MSG_NOSIGNAL. Only the signal of our own writes is taken away: one that the server's
// threads caused must still end the test.
class WithoutPipeSignal {
 public:
  WithoutPipeSignal() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~WithoutPipeSignal() {
    const timespec now{};
    while (::sigtimedwait(&pipe_, nullptr, &now) > 0) {
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  WithoutPipeSignal(const WithoutPipeSignal&) = delete;
  WithoutPipeSignal& operator=(const WithoutPipeSignal&) = delete;

 private:
  sigset_t pipe_{};
  sigset_t before_{};
};

}  // namespace

std::string Reply::field(std::string_view name) const {
  for (const auto& [key, value] : fields) {
    if (key.size() == name.size() && ::strncasecmp(key.data(), name.data(), name.size()) == 0) return value;
  }
  return {};
}

void Client::FreeSsl::operator()(ssl_st* ssl) const noexcept { SSL_free(ssl); }

Client::Client(std::uint16_t port, Options options) : port_(port) {
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (options.receive_buffer != 0) {
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &options.receive_buffer, sizeof options.receive_buffer);
  }
  const int on = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (!options.from.empty()) {
    sockaddr_in ours{};
    ours.sin_family = AF_INET;
    ::inet_pton(AF_INET, options.from.c_str(), &ours.sin_addr);
    ::bind(fd_, reinterpret_cast<const sockaddr*>(&ours), sizeof ours);
  }
  if (::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    close();
    return;
  }
  const std::size_t piece = options.bytewise ? 1 : std::max<std::size_t>(1, options.first.size());
  for (std::size_t at = 0; at < options.first.size(); at += piece) {
    send_raw(std::string_view(options.first).substr(at, piece));
    if (options.bytewise) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  if (!options.tls) return;
  SSL_CTX* const context = SSL_CTX_new(TLS_client_method());
  ssl_.reset(SSL_new(context));
  SSL_CTX_free(context);
  SSL_set_fd(ssl_.get(), fd_);
  if (options.certificate != nullptr) use_certificate(ssl_.get(), *options.certificate);
  const WithoutPipeSignal guard;
  if (SSL_connect(ssl_.get()) != 1) close();
  ERR_clear_error();
}

Client::~Client() { close(); }

// ---- The handshake

void Client::send_upgrade(const std::string& target, const Fields& fields, std::string_view after) {
  std::string request = "GET " + target + " HTTP/1.1\r\nHost: localhost:" + std::to_string(port_) +
                        "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                        "Sec-WebSocket-Key: " + std::string(kKey) + "\r\n";
  for (const auto& [name, value] : fields) request += name + ": " + value + "\r\n";
  request += "\r\n";
  request += after;
  send_raw(request);
}

Reply Client::upgrade(const std::string& target, const Fields& fields, std::string_view after) {
  send_upgrade(target, fields, after);
  return read_reply();
}

Reply Client::request(const std::string& method, const std::string& target, const Fields& fields) {
  std::string request =
      method + " " + target + " HTTP/1.1\r\nHost: localhost:" + std::to_string(port_) + "\r\n";
  for (const auto& [name, value] : fields) request += name + ": " + value + "\r\n";
  send_raw(request + "\r\n");
  return read_reply(method == "HEAD");
}

Reply Client::read_reply(bool head_only) {
  std::size_t end = std::string::npos;
  while ((end = input_.find("\r\n\r\n", taken_)) == std::string::npos) {
    if (receive(kPatience) <= 0) return {};
  }
  Reply reply = parse_head(std::string_view(input_).substr(taken_, end + 2 - taken_));
  taken_ = end + 4;
  if (reply.status == 101) {
    if (!reply.field("Sec-WebSocket-Extensions").empty()) {
      inflater_ = std::make_unique<ws::Inflater>();
      decoder_.allow_compressed(true);
    }
    return reply;
  }
  if (head_only) return reply;
  const auto size = static_cast<std::size_t>(std::atoi(reply.field("Content-Length").c_str()));
  while (input_.size() - taken_ < size) {
    if (receive(kPatience) <= 0) return reply;
  }
  reply.body = input_.substr(taken_, size);
  taken_ += size;
  return reply;
}

// ---- Frames

std::string Client::frame(std::string_view payload, ws::Opcode opcode) {
  const std::uint32_t random = base::random_u32();
  const ws::MaskKey mask{static_cast<std::uint8_t>(random), static_cast<std::uint8_t>(random >> 8),
                         static_cast<std::uint8_t>(random >> 16), static_cast<std::uint8_t>(random >> 24)};
  std::string bytes;
  ws::append_frame(bytes, {.opcode = opcode, .mask = mask}, payload);
  return bytes;
}

bool Client::send(std::string_view payload, ws::Opcode opcode) { return send_raw(frame(payload, opcode)); }

bool Client::send_raw(std::string_view bytes) {
  while (fd_ >= 0 && !bytes.empty()) {
    std::size_t size = 0;
    if (ssl_ != nullptr) {
      const WithoutPipeSignal guard;
      ERR_clear_error();
      if (SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &size) != 1) return false;
    } else {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent < 0) return false;
      size = static_cast<std::size_t>(sent);
    }
    bytes.remove_prefix(size);
  }
  return fd_ >= 0;
}

bool Client::send_close(std::uint16_t code, std::string_view reason) {
  const auto payload = ws::encode_close(static_cast<ws::CloseCode>(code), reason);
  return send(payload ? payload->view() : std::string_view(), ws::Opcode::kClose);
}

// Appends to input_ what is there. 0: the end; -1: reset; -2: nothing in time.
long Client::receive(std::chrono::milliseconds patience) {
  if (fd_ < 0) return -1;
  input_.erase(0, std::exchange(taken_, 0));
  std::array<char, 64 * 1024> buffer;
  if (ssl_ == nullptr || SSL_pending(ssl_.get()) == 0) {
    pollfd poll{fd_, POLLIN, 0};
    if (::poll(&poll, 1, static_cast<int>(patience.count())) != 1) return -2;
  }
  long size = 0;
  if (ssl_ != nullptr) {
    const WithoutPipeSignal guard;
    std::size_t got = 0;
    ERR_clear_error();
    const int result = SSL_read_ex(ssl_.get(), buffer.data(), buffer.size(), &got);
    if (result == 1) {
      size = static_cast<long>(got);
    } else {
      const int error = SSL_get_error(ssl_.get(), result);
      size = error == SSL_ERROR_ZERO_RETURN ? 0 : -1;
      ERR_clear_error();
    }
  } else {
    size = ::recv(fd_, buffer.data(), buffer.size(), 0);
  }
  if (size > 0) input_.append(buffer.data(), static_cast<std::size_t>(size));
  return size < 0 ? -1 : size;
}

Heard Client::hear(std::chrono::milliseconds patience) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (true) {
    std::span<char> input = std::span(input_).subspan(taken_);
    const bool compressed = !input.empty() && (static_cast<unsigned char>(input[0]) & 0x40U) != 0;
    const ws::Event event = decoder_.next(input, inflater_.get());
    taken_ = input_.size() - input.size();
    switch (event.kind) {
      case ws::Event::Kind::kMessage:
        return {.kind = Heard::Kind::kMessage,
                .text = std::string(event.payload),
                .binary = event.opcode == ws::Opcode::kBinary,
                .compressed = compressed};
      case ws::Event::Kind::kPing: send(event.payload, ws::Opcode::kPong); continue;
      case ws::Event::Kind::kPong: continue;
      case ws::Event::Kind::kClose:
        return {.kind = Heard::Kind::kClose,
                .text = std::string(event.payload),
                .code = static_cast<std::uint16_t>(event.code)};
      case ws::Event::Kind::kViolation:
        return {.kind = Heard::Kind::kBroken, .text = std::string(ws::name_of(event.violation))};
      case ws::Event::Kind::kNeedMore: break;
    }
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    const long size = receive(std::max(left, std::chrono::milliseconds(0)));
    if (size == 0) return {.kind = Heard::Kind::kEnd};
    if (size == -1) return {.kind = Heard::Kind::kReset};
    if (size == -2) return {.kind = Heard::Kind::kNothing};
  }
}

std::string Client::hear_text(std::chrono::milliseconds patience) {
  Heard heard = hear(patience);
  switch (heard.kind) {
    case Heard::Kind::kMessage: return std::move(heard.text);
    case Heard::Kind::kClose: return "<close " + std::to_string(heard.code) + " " + heard.text + ">";
    case Heard::Kind::kEnd: return "<end>";
    case Heard::Kind::kReset: return "<reset>";
    case Heard::Kind::kNothing: return "<nothing>";
    case Heard::Kind::kBroken: return "<broken: " + heard.text + ">";
  }
  return "<?>";
}

std::uint16_t Client::hear_close(std::chrono::milliseconds patience) {
  std::uint16_t code = 0;
  while (true) {
    const Heard heard = hear(patience);
    if (heard.kind == Heard::Kind::kMessage) continue;
    if (heard.kind != Heard::Kind::kClose) {
      if (heard.kind != Heard::Kind::kNothing) close();
      return code;
    }
    code = heard.code;
    send_close(code == 1005 ? 1000 : code);
  }
}

// ---- Ends

void Client::end() {
  if (ssl_ != nullptr) {
    const WithoutPipeSignal guard;
    SSL_shutdown(ssl_.get());
  }
  ::shutdown(fd_, SHUT_WR);
}

void Client::reset() {
  const linger abort{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
  close();
}

void Client::close() {
  ssl_.reset();
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

}  // namespace sallyport::server::test
