#include "feature/admin/http_server.h"

#include <algorithm>
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/system/error_code.hpp>
#include <boost/system/system_error.hpp>
#include <cstring>
#include <exception>
#include <list>
#include <optional>
#include <utility>

#include "core/base/secret.h"
#include "core/http/grammar.h"
#include "feature/admin/problem.h"
#include "feature/admin/requests.h"
#include "server/events.h"

namespace sallyport::admin {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kLinger{1000};  // for what a peer still sends after its refusal
constexpr std::size_t kLingerBytes = 256 * 1024;
constexpr std::chrono::milliseconds kAcceptPause{100};  // out of descriptors
constexpr int kBacklog = 128;

// One connection. Whatever has come from the peer may hold the token: it is wiped.
class Peer : public std::enable_shared_from_this<Peer> {
 public:
  explicit Peer(tcp::socket from) : socket(std::move(from)), timer_(socket.get_executor()) {}
  ~Peer() { wipe(); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  /// Closes the socket when the time is over, and with it whatever waits for it.
  void arm(std::chrono::milliseconds time) {
    timer_.expires_after(time);
    timer_.async_wait([weak = weak_from_this()](error_code error) {
      const auto self = weak.lock();
      // One that has been armed again meanwhile is another's.
      if (!error && self && self->timer_.expiry() <= Clock::now()) self->close();
    });
  }
  void close() {
    error_code ignored;
    socket.close(ignored);
  }
  void wipe() {
    base::wipe(ahead.data(), ahead.size());
    ahead.clear();
  }
  /// Forgets the first bytes of what has come.
  void consume(std::size_t bytes) {
    std::string rest = ahead.substr(bytes);
    wipe();
    ahead = std::move(rest);
  }

  tcp::socket socket;
  std::string ahead;          // has come, and has not been looked at
  bool may_be_closed = true;  // nothing of a request that was admitted is under way

 private:
  asio::steady_timer timer_;
};
using PeerPtr = std::shared_ptr<Peer>;

base::MonoTime mono_now() {
  return std::chrono::time_point_cast<base::Milliseconds>(Clock::now());
}

bool asks_to_close(const http::Head& head) {
  if (head.version() < 11) return true;
  for (const std::string_view value : head.find_all("Connection")) {
    http::Splitter items(value, ',');
    while (const auto item = items.next()) {
      if (http::equals_ignoring_case(*item, "close")) return true;
    }
  }
  return false;
}

bool expects_continue(const http::Head& head) {
  const auto value = head.find("Expect");
  return value && http::equals_ignoring_case(*value, "100-continue");
}

}  // namespace

class HttpServer::Impl {
 public:
  Impl(asio::io_context& context, Api& api, const LogSink& log, HttpLimits limits)
      : context_(context), api_(api), log_(log), limits_(limits) {}

  std::expected<io::Endpoint, std::string> listen(io::Endpoint endpoint);
  [[nodiscard]] std::size_t connections() const noexcept { return peers_.size(); }

 private:
  // What an answer is, and whether another request may follow it.
  struct Reply {
    http::Answer answer;
    After after = After::kKeepOpen;
    http::Body body = http::Body::kSent;
  };

  awaitable<void> accept(tcp::acceptor& acceptor);
  void admit(tcp::socket socket);
  awaitable<void> converse(PeerPtr peer);
  awaitable<bool> exchange(PeerPtr peer);
  awaitable<std::optional<std::expected<http::Head, http::HeadError>>> read_head(PeerPtr peer);
  awaitable<Reply> reply_to(PeerPtr peer, http::Head head);
  awaitable<std::optional<std::string>> read_body(PeerPtr peer, std::size_t bytes);
  awaitable<http::Answer> ask(const http::Head& head, std::string body);
  awaitable<bool> read_some(PeerPtr peer);
  awaitable<bool> write(PeerPtr peer, std::string text);
  awaitable<void> linger(PeerPtr peer);

  asio::io_context& context_;
  Api& api_;
  const LogSink& log_;
  const HttpLimits limits_;
  std::list<tcp::acceptor> acceptors_;
  std::list<PeerPtr> peers_;  // the oldest first
};

// ---- Listening

std::expected<io::Endpoint, std::string> HttpServer::Impl::listen(io::Endpoint endpoint) {
  tcp::endpoint at;
  std::memcpy(at.data(), &endpoint.storage, endpoint.size);
  at.resize(endpoint.size);
  tcp::acceptor acceptor(context_);
  error_code error;
  (void)acceptor.open(at.protocol(), error);
  if (!error) (void)acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error && at.protocol() == tcp::v6()) (void)acceptor.set_option(asio::ip::v6_only(true), error);
  if (!error) (void)acceptor.bind(at, error);
  if (!error) (void)acceptor.listen(kBacklog, error);
  if (error)
    return std::unexpected("admin: " + endpoint.text() + ": cannot listen there: " + error.message());
  endpoint.set_port(acceptor.local_endpoint(error).port());
  acceptors_.push_back(std::move(acceptor));
  asio::co_spawn(context_, accept(acceptors_.back()), asio::detached);
  return endpoint;
}

awaitable<void> HttpServer::Impl::accept(tcp::acceptor& acceptor) {
  asio::steady_timer pause(context_);
  for (;;) {
    error_code error;
    tcp::socket socket = co_await acceptor.async_accept(asio::redirect_error(asio::use_awaitable, error));
    if (!error) {
      admit(std::move(socket));
    } else if (error == asio::error::operation_aborted || error == asio::error::bad_descriptor) {
      co_return;
    } else {  // the process is out of descriptors, or the peer has gone again
      pause.expires_after(kAcceptPause);
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
    }
  }
}

void HttpServer::Impl::admit(tcp::socket socket) {
  if (peers_.size() >= limits_.connections) {
    // Whoever holds connections and asks nothing must not keep an administrator out.
    const auto oldest = std::ranges::find_if(peers_, [](const PeerPtr& peer) { return peer->may_be_closed; });
    if (oldest == peers_.end()) return;
    (*oldest)->close();
    peers_.erase(oldest);
  }
  const PeerPtr peer = std::make_shared<Peer>(std::move(socket));
  peers_.push_back(peer);
  asio::co_spawn(context_, converse(peer), asio::detached);
}

// ---- One connection

awaitable<void> HttpServer::Impl::converse(PeerPtr peer) {
  struct Leave {
    Impl& server;
    const PeerPtr& peer;
    ~Leave() { server.peers_.remove(peer); }
  } leave{*this, peer};
  error_code ignored;
  (void)peer->socket.set_option(tcp::no_delay(true), ignored);
  try {
    while (co_await exchange(peer)) {
    }
  } catch (const boost::system::system_error&) {
    // The peer has gone, or was sent away.
  } catch (...) {
    server::Event(log_, LogLevel::kError, "admin.failed")
        .with("detail", server::what_of(std::current_exception()));
  }
  peer->close();
}

// One request and its answer. False if there will be no other.
awaitable<bool> HttpServer::Impl::exchange(PeerPtr peer) {
  auto head = co_await read_head(peer);
  if (!head) co_return false;
  Reply reply;
  if (*head) {
    reply = co_await reply_to(peer, std::move(**head));
  } else {
    const bool large = http::is_too_large(head->error());
    reply.answer =
        large ? refusal(431, "header_too_large") : refusal(400, "bad_request", http::describe(head->error()));
    reply.after = After::kClose;
  }
  peer->arm(limits_.write);
  const bool written = co_await write(peer, wire_text(reply.answer, reply.after, reply.body));
  peer->may_be_closed = true;
  if (written && reply.after == After::kClose) co_await linger(peer);
  co_return written&& reply.after == After::kKeepOpen;
}

// Nothing if the peer has gone.
awaitable<std::optional<std::expected<http::Head, http::HeadError>>> HttpServer::Impl::read_head(
    PeerPtr peer) {
  using Result = std::expected<http::Head, http::HeadError>;
  peer->arm(limits_.head);
  http::HeadReader reader({.header_bytes = limits_.head_bytes});
  for (;;) {
    if (peer->ahead.empty()) {
      const bool more = co_await read_some(peer);
      if (!more) co_return std::nullopt;
    }
    const auto fed = reader.feed(peer->ahead);
    if (!fed) co_return std::optional<Result>(std::unexpected(fed.error()));
    if (!*fed) {
      peer->wipe();
      continue;
    }
    peer->consume(**fed);
    co_return std::optional<Result>(reader.take());
  }
}

awaitable<HttpServer::Impl::Reply> HttpServer::Impl::reply_to(PeerPtr peer, http::Head head) {
  Reply reply;
  if (head.method() == "HEAD") reply.body = http::Body::kOmitted;
  // What has not been read would be taken for the next request.
  if (asks_to_close(head) || head.has_body()) reply.after = After::kClose;
  auto refused = api_.admit(head, mono_now());
  if (refused) {
    reply.answer = std::move(*refused);
    co_return reply;
  }
  const std::uint64_t bytes = head.body_bytes().value_or(0);
  if (head.chunked()) {
    reply.answer = refusal(411, "length_required", "send the body with a Content-Length");
    co_return reply;
  }
  if (bytes > kBodyBytesMax) {
    reply.answer = refusal(413, "content_too_large", "the body is too large");
    co_return reply;
  }
  peer->may_be_closed = false;
  if (bytes > 0 && peer->ahead.empty() && expects_continue(head)) {
    std::string interim = "HTTP/1.1 100 Continue\r\n\r\n";
    (void)co_await write(peer, std::move(interim));
  }
  auto body = co_await read_body(peer, static_cast<std::size_t>(bytes));
  if (!body) throw boost::system::system_error(asio::error::eof);
  if (!asks_to_close(head)) reply.after = After::kKeepOpen;
  reply.answer = co_await ask(head, std::move(*body));
  co_return reply;
}

awaitable<std::optional<std::string>> HttpServer::Impl::read_body(PeerPtr peer, std::size_t bytes) {
  peer->arm(limits_.body);
  while (peer->ahead.size() < bytes) {
    const bool more = co_await read_some(peer);
    if (!more) co_return std::nullopt;
  }
  std::string body = peer->ahead.substr(0, bytes);
  peer->consume(bytes);
  co_return body;
}

awaitable<http::Answer> HttpServer::Impl::ask(const http::Head& head, std::string body) {
  std::string method(head.method());
  std::string path(head.raw_path());
  std::string query(head.query().value_or(""));
  std::exception_ptr thrown;
  try {
    co_return co_await api_.answer(std::move(method), std::move(path), std::move(query), std::move(body));
  } catch (const boost::system::system_error&) {
    throw;  // the context ends
  } catch (...) {
    thrown = std::current_exception();
  }
  server::Event(log_, LogLevel::kError, "admin.failed").with("detail", server::what_of(thrown));
  co_return refusal(500, "internal");
}

awaitable<bool> HttpServer::Impl::read_some(PeerPtr peer) {
  std::array<char, 4096> buffer;
  error_code error;
  const std::size_t bytes = co_await peer->socket.async_read_some(
      asio::buffer(buffer), asio::redirect_error(asio::use_awaitable, error));
  if (!error) peer->ahead.append(buffer.data(), bytes);
  base::wipe(buffer.data(), bytes);
  co_return !error;
}

awaitable<bool> HttpServer::Impl::write(PeerPtr peer, std::string text) {
  error_code error;
  (void)co_await asio::async_write(peer->socket, asio::buffer(text),
                                   asio::redirect_error(asio::use_awaitable, error));
  co_return !error;
}

// A socket that is closed while something unread has come resets the connection, and its peer may never see
// the answer.
awaitable<void> HttpServer::Impl::linger(PeerPtr peer) {
  error_code ignored;
  peer->socket.shutdown(tcp::socket::shutdown_send, ignored);
  peer->arm(kLinger);
  std::size_t bytes = 0;
  while (bytes < kLingerBytes) {
    const bool more = co_await read_some(peer);
    if (!more) co_return;
    bytes += peer->ahead.size();
    peer->wipe();
  }
}

// ---- HttpServer

HttpServer::HttpServer(asio::io_context& context, Api& api, const LogSink& log, HttpLimits limits)
    : impl_(std::make_unique<Impl>(context, api, log, limits)) {}

HttpServer::~HttpServer() = default;

std::expected<io::Endpoint, std::string> HttpServer::listen(const io::Endpoint& endpoint) {
  return impl_->listen(endpoint);
}

std::size_t HttpServer::connections() const noexcept {
  return impl_->connections();
}

}  // namespace sallyport::admin
