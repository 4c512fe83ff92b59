#include "io/http_client.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <list>
#include <optional>
#include <set>

#include "core/http/grammar.h"
#include "core/http/target.h"
#include "io/http_connection.h"

namespace sallyport::io {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;
using Result = std::expected<HttpReply, HttpFailure>;

std::unexpected<HttpFailure> failed(HttpError code, const HttpUrl& url, std::string_view what) {
  return std::unexpected(HttpFailure{code, url.origin() + " " + std::string(what)});
}

// Whoever passes on what a peer has sent must not be made to send two requests.
bool is_sendable(const HttpRequest& request) {
  if (!http::is_token(request.method) || !request.url.target.starts_with('/')) return false;
  if (!std::ranges::all_of(request.url.target, http::is_target_char)) return false;
  if (request.url.target.find('#') != std::string::npos) return false;
  if (!http::is_authority(request.url.authority()) || !(request.url.tls || request.url.loopback())) return false;
  return std::ranges::all_of(request.fields, [](const auto& field) {
    return http::is_token(field.first) && http::is_field_value(field.second.reveal());
  });
}

base::Secret text_of(const HttpRequest& request, bool keep) {
  const bool has_body = !request.body.empty() || (request.method != "GET" && request.method != "HEAD");
  std::size_t size = 256 + request.method.size() + request.url.target.size() + request.url.host.size() +
                     request.body.size();
  for (const auto& [name, value] : request.fields) size += name.size() + value.size() + 4;
  std::string text;
  text.reserve(size);  // once, so that no copy of a credential stays behind
  text.append(request.method).append(" ").append(request.url.target).append(" HTTP/1.1\r\nHost: ");
  text.append(request.url.authority()).append("\r\nUser-Agent: sallyport\r\n");
  if (!keep) text.append("Connection: close\r\n");
  if (has_body) text.append("Content-Length: ").append(std::to_string(request.body.size())).append("\r\n");
  for (const auto& [name, value] : request.fields) {
    text.append(name).append(": ").append(value.reveal()).append("\r\n");
  }
  text.append("\r\n").append(request.body.reveal());
  base::Secret result(text);
  base::wipe(text.data(), text.size());
  return result;
}

// One question on its way. Its caller and the coroutine that asks both hold it, and either may go first.
struct Exchange {
  HttpRequest request;
  Clock::time_point deadline;
  asio::steady_timer* bell = nullptr;  // wakes the caller; null: nobody waits any more
  std::optional<Result> result = {};
  HttpConnection* at = nullptr;        // where it is being asked
};
using ExchangePtr = std::shared_ptr<Exchange>;

// While it lives, the exchange can be cut off; also when its coroutine is destroyed together with the context.
class Place {
 public:
  Place(Exchange& exchange, HttpConnection& connection) : exchange_(exchange) { exchange_.at = &connection; }
  ~Place() { exchange_.at = nullptr; }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;

 private:
  Exchange& exchange_;
};

}  // namespace

class HttpClient::Impl {
 public:
  Impl(asio::io_context& context, HttpClientOptions options) : context_(context), options_(options) {}

  static asio::awaitable<Result> send(std::shared_ptr<Impl> self, HttpRequest request);
  void close();

 private:
  struct Idle {
    std::unique_ptr<HttpConnection> connection;
    std::string origin;
    Clock::time_point until;
  };

  [[nodiscard]] static bool begin(const std::shared_ptr<Impl>& self, const ExchangePtr& exchange);
  static void spawn(const std::shared_ptr<Impl>& self, const ExchangePtr& exchange);
  void abandon(const ExchangePtr& exchange) noexcept;
  static void finish(const std::shared_ptr<Impl>& self, const ExchangePtr& exchange, Result result);
  asio::awaitable<Result> perform(Exchange& exchange);
  asio::awaitable<std::expected<std::unique_ptr<HttpConnection>, HttpFailure>> connect(Exchange& exchange);
  [[nodiscard]] std::unique_ptr<HttpConnection> take_idle(const std::string& origin);
  void keep(std::unique_ptr<HttpConnection> connection, std::string origin);

  asio::io_context& context_;
  const HttpClientOptions options_;
  std::shared_ptr<asio::ssl::context> tls_;  // made when it is first needed: reading the store takes a while
  std::set<ExchangePtr> asked_;              // at most options_.connections
  std::list<ExchangePtr> waiting_;           // at most options_.waiting, the oldest first
  std::list<Idle> idle_;                     // together with asked_ at most options_.connections, the oldest first
  bool closed_ = false;
};

asio::awaitable<Result> HttpClient::Impl::send(std::shared_ptr<Impl> self, HttpRequest request) {
  const HttpUrl url = request.url;
  if (self->closed_) co_return failed(HttpError::kConnect, url, "is not asked any more");
  if (!is_sendable(request)) {
    co_return failed(HttpError::kBadRequest, url, "cannot be asked with such a method, target or field");
  }
  const auto deadline = Clock::now() + self->options_.timeout;
  asio::steady_timer bell(self->context_, deadline);
  const auto exchange = std::make_shared<Exchange>(std::move(request), deadline, &bell);
  struct Leave {
    Impl& impl;
    const ExchangePtr& exchange;
    ~Leave() { impl.abandon(exchange); }
  } leave{*self, exchange};
  if (!begin(self, exchange)) co_return failed(HttpError::kBusy, url, "is asked by too many at once");
  // Not left to the asker: it may be waiting for a resolver that cannot be hurried.
  if (!exchange->result) {
    boost::system::error_code ignored;
    co_await bell.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  if (exchange->result) co_return std::move(*exchange->result);
  if ((co_await asio::this_coro::cancellation_state).cancelled() != asio::cancellation_type::none) {
    throw boost::system::system_error(asio::error::operation_aborted);
  }
  co_return failed(HttpError::kTimeout, url, "did not answer in time");
}

// False if too many wait.
bool HttpClient::Impl::begin(const std::shared_ptr<Impl>& self, const ExchangePtr& exchange) {
  if (self->asked_.size() < std::max<std::size_t>(self->options_.connections, 1)) {
    spawn(self, exchange);
    return true;
  }
  if (self->waiting_.size() >= self->options_.waiting) return false;
  self->waiting_.push_back(exchange);
  return true;
}

void HttpClient::Impl::spawn(const std::shared_ptr<Impl>& self, const ExchangePtr& exchange) {
  self->asked_.insert(exchange);
  asio::co_spawn(
      self->context_,
      [](std::shared_ptr<Impl> impl, ExchangePtr mine) -> asio::awaitable<void> {
        Result result = failed(HttpError::kConnect, mine->request.url, "could not be asked");
        try {
          result = co_await impl->perform(*mine);
        } catch (const std::exception&) {
          // Out of memory, for example: the caller is told the above.
        }
        finish(impl, mine, std::move(result));
      }(self, exchange),
      asio::detached);
}

void HttpClient::Impl::abandon(const ExchangePtr& exchange) noexcept {
  exchange->bell = nullptr;
  waiting_.remove(exchange);
  if (exchange->at != nullptr) exchange->at->cut();
}

void HttpClient::Impl::finish(const std::shared_ptr<Impl>& self, const ExchangePtr& exchange, Result result) {
  self->asked_.erase(exchange);
  if (exchange->bell != nullptr) {
    exchange->result = std::move(result);
    exchange->bell->cancel();
  }
  if (self->closed_ || self->waiting_.empty()) return;
  const ExchangePtr next = self->waiting_.front();
  self->waiting_.pop_front();
  spawn(self, next);
}

asio::awaitable<std::expected<std::unique_ptr<HttpConnection>, HttpFailure>> HttpClient::Impl::connect(
    Exchange& exchange) {
  const HttpUrl& url = exchange.request.url;
  if (url.tls && tls_ == nullptr) tls_ = make_client_tls();
  auto connection = std::make_unique<HttpConnection>(context_, url, tls_);
  const Place place(exchange, *connection);
  auto failure = co_await connection->open(exchange.deadline);
  if (failure) co_return std::unexpected(std::move(*failure));
  co_return connection;
}

asio::awaitable<Result> HttpClient::Impl::perform(Exchange& exchange) {
  const HttpRequest& request = exchange.request;
  const std::string origin = request.url.origin();
  const base::Secret text = text_of(request, options_.idle.count() > 0);
  std::unique_ptr<HttpConnection> connection = take_idle(origin);
  while (exchange.bell != nullptr) {
    const bool fresh = connection == nullptr;
    if (fresh) {
      auto made = co_await connect(exchange);
      if (!made) co_return std::unexpected(std::move(made.error()));
      connection = std::move(*made);
      if (exchange.bell == nullptr) break;
    }
    std::optional<Place> place(std::in_place, exchange, *connection);
    HttpConnection::Answer answer =
        co_await connection->ask(text, request.method == "HEAD", options_.body_bytes, exchange.deadline);
    place.reset();
    if (answer.reply) {
      if (answer.reusable && exchange.bell != nullptr) keep(std::move(connection), origin);
      co_return std::move(answer.reply);
    }
    if (fresh || !answer.untouched) co_return std::move(answer.reply);
    connection = nullptr;  // it had grown stale: once more, on one that cannot be
  }
  co_return failed(HttpError::kConnect, request.url, "is not asked any more");
}

// Also makes room: who connects next is counted already.
std::unique_ptr<HttpConnection> HttpClient::Impl::take_idle(const std::string& origin) {
  const auto now = Clock::now();
  std::erase_if(idle_, [&](const Idle& each) { return each.until <= now; });
  for (auto each = idle_.rbegin(); each != idle_.rend(); ++each) {
    if (each->origin != origin) continue;
    std::unique_ptr<HttpConnection> connection = std::move(each->connection);
    idle_.erase(std::next(each).base());
    if (connection->quiet()) return connection;
    return take_idle(origin);
  }
  while (!idle_.empty() && idle_.size() + asked_.size() > options_.connections) idle_.pop_front();
  return nullptr;
}

void HttpClient::Impl::keep(std::unique_ptr<HttpConnection> connection, std::string origin) {
  if (closed_ || options_.idle.count() <= 0) return;
  idle_.push_back({std::move(connection), std::move(origin), Clock::now() + options_.idle});
}

void HttpClient::Impl::close() {
  closed_ = true;
  idle_.clear();
  const auto end = [](const ExchangePtr& exchange) {
    if (exchange->at != nullptr) exchange->at->cut();
    if (exchange->bell == nullptr || exchange->result) return;
    exchange->result = failed(HttpError::kConnect, exchange->request.url, "is not asked any more");
    exchange->bell->cancel();
  };
  std::ranges::for_each(asked_, end);
  std::ranges::for_each(waiting_, end);
  waiting_.clear();
}

HttpClient::HttpClient(asio::io_context& context, HttpClientOptions options)
    : impl_(std::make_shared<Impl>(context, options)) {}

HttpClient::~HttpClient() { impl_->close(); }

asio::awaitable<Result> HttpClient::send(HttpRequest request) { return Impl::send(impl_, std::move(request)); }

}  // namespace sallyport::io
