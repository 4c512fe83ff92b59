#include "io/redis_link.h"

#include <hiredis/hiredis.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <deque>
#include <iterator>
#include <optional>
#include <utility>

#include "core/base/assert.h"
#include "core/base/random.h"

namespace sallyport::io {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kPauseMin{50};
constexpr milliseconds kPauseMax{2000};
constexpr int kArrayItemsMax = 64 * 1024;
constexpr std::size_t kReadBytes = std::size_t{16} * 1024;

// An error of the server's, by its code.
using Converted = std::expected<RedisReply, std::string>;

// ---- What goes out: RESP, by hiredis' formatter

base::Secret format(const RedisCommand& command) {
  std::vector<const char*> words;
  std::vector<std::size_t> sizes;
  for (const base::Secret& word : command) {
    words.push_back(word.reveal().data());
    sizes.push_back(word.size());
  }
  char* text = nullptr;
  const int size = redisFormatCommandArgv(&text, static_cast<int>(words.size()), words.data(), sizes.data());
  SALLYPORT_ASSERT(size > 0);
  base::Secret result(std::string_view(text, static_cast<std::size_t>(size)));
  base::wipe(text, static_cast<std::size_t>(size));
  redisFreeCommand(text);
  return result;
}

// ---- What comes in: RESP, by hiredis' reader

// Of "WRONGPASS invalid username-password pair" the first word. The rest may quote what was sent.
std::string error_code_of(std::string_view text) {
  const std::string_view word = text.substr(0, std::min<std::size_t>(text.find(' '), 24));
  const bool plain = !word.empty() && std::ranges::all_of(word, [](char c) { return c >= 'A' && c <= 'Z'; });
  return plain ? std::string(word) : "an error";
}

Converted convert(const redisReply& reply) {
  using Kind = RedisReply::Kind;
  switch (reply.type) {
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
      return RedisReply{.kind = Kind::kText, .text = std::string(reply.str, reply.len)};
    case REDIS_REPLY_INTEGER: return RedisReply{.kind = Kind::kInteger, .integer = reply.integer};
    case REDIS_REPLY_ARRAY: {
      RedisReply array{.kind = Kind::kArray};
      array.items.reserve(reply.elements);
      for (std::size_t i = 0; i < reply.elements; ++i) {
        auto item = convert(*reply.element[i]);  // hiredis refuses more than seven within each other
        if (!item) return item;
        array.items.push_back(std::move(*item));
      }
      return array;
    }
    case REDIS_REPLY_NIL: return RedisReply{};
    default: return std::unexpected(error_code_of({reply.str, reply.len}));
  }
}

std::vector<asio::const_buffer> buffers_of(const std::vector<base::Secret>& parts) {
  std::vector<asio::const_buffer> buffers;
  buffers.reserve(parts.size());
  for (const base::Secret& part : parts) buffers.emplace_back(part.reveal().data(), part.size());
  return buffers;
}

struct FreeReader {
  void operator()(redisReader* reader) const noexcept { redisReaderFree(reader); }
};
using ReaderPtr = std::unique_ptr<redisReader, FreeReader>;

// hiredis allocates an array as long as the server says it will be, before anything of it has come, and walks all of
// it to free it: a line of twelve bytes could cost gigabytes and seconds.
const redisReplyObjectFunctions& own_functions() {
  static const redisReplyObjectFunctions theirs = *ReaderPtr(redisReaderCreate())->fn;
  static const redisReplyObjectFunctions ours = [] {
    redisReplyObjectFunctions functions = theirs;
    functions.createArray = [](const redisReadTask* task, int items) {
      return items <= kArrayItemsMax ? theirs.createArray(task, items) : nullptr;
    };
    return functions;
  }();
  return ours;
}

// Takes bytes, gives replies.
class Replies {
 public:
  explicit Replies(std::size_t bytes_max) : bytes_max_(bytes_max), functions_(own_functions()) {
    SALLYPORT_ASSERT(reader_ != nullptr);
    reader_->fn = &functions_;
  }
  Replies(const Replies&) = delete;
  Replies& operator=(const Replies&) = delete;

  // False: this is no Redis, or one that says too much.
  [[nodiscard]] bool feed(std::string_view bytes) {
    unfinished_ += bytes.size();
    return redisReaderFeed(reader_.get(), bytes.data(), bytes.size()) == REDIS_OK;
  }
  enum class Next : std::uint8_t { kReply, kMore, kBroken };
  [[nodiscard]] Next next(Converted& reply) {
    void* raw = nullptr;
    if (redisReaderGetReply(reader_.get(), &raw) != REDIS_OK) return Next::kBroken;
    if (raw == nullptr) return unfinished_ > bytes_max_ ? Next::kBroken : Next::kMore;
    unfinished_ = reader_->len - reader_->pos;
    const std::unique_ptr<redisReply, Free> owner(static_cast<redisReply*>(raw));
    reply = convert(*owner);
    return Next::kReply;
  }

 private:
  struct Free {
    void operator()(redisReply* reply) const noexcept { freeReplyObject(reply); }
  };
  const std::size_t bytes_max_;
  redisReplyObjectFunctions functions_;
  ReaderPtr reader_{redisReaderCreate()};
  std::size_t unfinished_ = 0;  // bytes since the last whole reply
};

}  // namespace

RedisCommand redis_command(std::initializer_list<std::string_view> words) {
  RedisCommand command;
  command.reserve(words.size());
  for (const std::string_view word : words) command.emplace_back(word);
  return command;
}

class RedisLink::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::io_context& context, RedisUrl url, RedisLinkOptions options)
      : url_(std::move(url)), options_(std::move(options)), context_(context), socket_(context),
        resolver_(context), timer_(context) {}

  void start() { asio::co_spawn(context_, run(shared_from_this()), asio::detached); }
  void stop();
  [[nodiscard]] bool connected() const noexcept { return connected_.load(std::memory_order_relaxed); }
  // `self` keeps this alive until the answer.
  asio::awaitable<Results> ask(std::shared_ptr<Impl> self, std::vector<RedisCommand> commands);

 private:
  enum class State : std::uint8_t { kFirst, kUp, kDown, kStopped };

  // What one caller has asked: one command or several. It outlives a caller who gives up, since its replies must
  // be told from those of others.
  struct Question {
    Question(asio::io_context& context, Clock::time_point now, milliseconds timeout, std::size_t count)
        : asked(now), missing(count), bell(context, now + timeout) {}
    const Clock::time_point asked;
    std::size_t missing;                       // replies
    asio::steady_timer bell;                   // cancelled when there is an answer
    std::vector<base::Secret> bytes = {};      // until they are sent
    std::vector<RedisReply> replies = {};
    std::optional<RedisFailure> failure = {};
    bool answered = false;
  };
  using QuestionRef = std::shared_ptr<Question>;
  using Endpoints = std::vector<tcp::endpoint>;

  asio::awaitable<void> run(std::shared_ptr<Impl> self);
  asio::awaitable<std::string> connect();
  asio::awaitable<std::expected<Endpoints, std::string>> resolve(Clock::time_point deadline);
  asio::awaitable<std::string> greet(Replies& replies);
  asio::awaitable<std::string> read(Replies& replies);
  asio::awaitable<bool> receive(Replies& replies);
  void watch(Clock::time_point deadline);
  void keep_alive();
  bool deliver(Converted reply);
  void send(QuestionRef question);
  void write();
  void up();
  void down(const std::string& why);
  void fail_all();
  void tell(bool connected, const std::string& detail);
  static void finish(Question& question) {
    question.answered = true;
    question.bell.cancel();
  }
  [[nodiscard]] bool stopped() const noexcept { return state_ == State::kStopped; }

  const RedisUrl url_;
  const RedisLinkOptions options_;
  asio::io_context& context_;
  tcp::socket socket_;
  tcp::resolver resolver_;
  asio::steady_timer timer_;           // the pause, or the end of connecting
  std::optional<Replies> replies_;
  std::array<char, kReadBytes> input_{};

  std::atomic<bool> connected_ = false;  // for other threads; `state_` for this one
  State state_ = State::kFirst;
  std::uint64_t connection_ = 0;         // its number: what belongs to an older one is not heard any more
  std::string why_ = "not connected yet";
  std::string told_;
  Clock::time_point heard_{};            // when something last came
  std::deque<QuestionRef> early_;        // asked before the first connection
  std::deque<QuestionRef> sent_;         // in the order in which replies come
  std::size_t pending_ = 0;              // replies that are missing, of all of them
  std::vector<base::Secret> output_;     // to be written
  bool writing_ = false;
};

// ---- Commands

asio::awaitable<RedisLink::Results> RedisLink::Impl::ask([[maybe_unused]] std::shared_ptr<Impl> self,
                                                         std::vector<RedisCommand> commands) {
  if (state_ == State::kDown || stopped()) {
    co_return std::unexpected(RedisFailure{RedisError::kUnavailable, why_});
  }
  if (pending_ + commands.size() > options_.pending) {
    co_return std::unexpected(RedisFailure{RedisError::kBusy, "too many commands wait for replies"});
  }
  const auto question = std::make_shared<Question>(context_, Clock::now(), options_.timeout, commands.size());
  for (const RedisCommand& command : commands) question->bytes.push_back(format(command));
  pending_ += commands.size();
  if (state_ == State::kFirst) {
    early_.push_back(question);
  } else {
    send(question);
  }
  const std::uint64_t connection = connection_;
  error_code cancelled;
  co_await question->bell.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
  if (!question->answered) {
    // Late alone is no reason to begin anew, since others may be served meanwhile. Silence is: a connection that a
    // router has forgotten, or a process that stands still, would be found out by nobody else for minutes.
    const bool silent = !cancelled && state_ == State::kUp && connection == connection_ && heard_ < question->asked;
    if (silent) down("no reply came in time");
    question->failure = {RedisError::kUnavailable, cancelled ? "not waited for" : "no reply came in time"};
  }
  if (question->failure) co_return std::unexpected(std::move(*question->failure));
  co_return std::move(question->replies);
}

void RedisLink::Impl::send(QuestionRef question) {
  std::ranges::move(question->bytes, std::back_inserter(output_));
  question->bytes.clear();
  sent_.push_back(std::move(question));
  write();
}

void RedisLink::Impl::write() {
  if (writing_ || output_.empty()) return;
  writing_ = true;
  const auto batch = std::make_shared<std::vector<base::Secret>>(std::exchange(output_, {}));
  asio::async_write(socket_, buffers_of(*batch),
                    [self = shared_from_this(), batch, connection = connection_](const error_code& error, std::size_t) {
                      if (connection != self->connection_) return;
                      self->writing_ = false;
                      if (error) return self->down("the connection was lost");
                      self->write();
                    });
}

// False if nobody has asked.
bool RedisLink::Impl::deliver(Converted reply) {
  if (sent_.empty()) return false;
  Question& question = *sent_.front();
  if (reply) {
    question.replies.push_back(std::move(*reply));
  } else if (!question.failure) {
    question.failure = {RedisError::kRefused, "the server answered with " + reply.error()};
  }
  --pending_;
  if (--question.missing == 0) {
    finish(question);
    sent_.pop_front();
  }
  return true;
}

// ---- The connection

asio::awaitable<void> RedisLink::Impl::run([[maybe_unused]] std::shared_ptr<Impl> self) {
  milliseconds pause = kPauseMin;
  while (!stopped()) {
    const std::uint64_t connection = connection_;
    std::string fault = co_await connect();
    if (fault.empty()) {
      pause = kPauseMin;
      fault = co_await read(*replies_);
    }
    if (stopped()) break;
    if (connection == connection_) down(fault);
    // Up to a quarter less, so that many who have lost one server do not come back all at once.
    timer_.expires_after(pause - milliseconds(base::random_u32() % static_cast<std::uint32_t>(pause.count() / 4)));
    error_code ignored;
    co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
    pause = std::min(2 * pause, kPauseMax);
  }
}

// What went wrong; empty if the link is up.
asio::awaitable<std::string> RedisLink::Impl::connect() {
  const auto deadline = Clock::now() + options_.timeout;
  const auto endpoints = co_await resolve(deadline);
  if (stopped()) co_return "stopped";
  if (!endpoints) co_return endpoints.error();
  watch(deadline);
  error_code error;
  co_await asio::async_connect(socket_, *endpoints, asio::redirect_error(asio::use_awaitable, error));
  std::string fault;
  if (stopped()) co_return "stopped";
  if (error == asio::error::operation_aborted) fault = "connecting took too long";
  else if (error) fault = "cannot connect: " + error.message();
  if (fault.empty()) {
    keep_alive();
    replies_.emplace(options_.reply_bytes);
    fault = co_await greet(*replies_);
    // The end of the time closes the socket, whose reader may be the first to see it.
    if (Clock::now() >= deadline && !fault.empty()) fault = "the server did not answer in time";
  }
  timer_.cancel();
  if (stopped()) co_return "stopped";
  if (fault.empty() && !socket_.is_open()) fault = "the server did not answer in time";
  if (fault.empty()) up();
  co_return fault;
}

// Closes the socket at `deadline` unless the timer is used for something else by then.
void RedisLink::Impl::watch(Clock::time_point deadline) {
  timer_.expires_at(deadline);
  timer_.async_wait([self = shared_from_this(), connection = connection_](const error_code& cancelled) {
    if (cancelled || connection != self->connection_ || self->state_ == State::kUp) return;
    error_code ignored;
    self->socket_.close(ignored);
  });
}

asio::awaitable<std::expected<RedisLink::Impl::Endpoints, std::string>> RedisLink::Impl::resolve(
    Clock::time_point deadline) {
  error_code no_address;
  const auto address = asio::ip::make_address(url_.host, no_address);
  if (!no_address) co_return Endpoints{tcp::endpoint(address, url_.port)};
  // A look-up cannot be interrupted: it goes on in the resolver's thread when we have given up.
  struct Lookup {
    asio::steady_timer bell;
    bool done = false;
    Endpoints endpoints = {};
  };
  const auto lookup = std::make_shared<Lookup>(Lookup{asio::steady_timer(context_, deadline)});
  resolver_.async_resolve(url_.host, std::to_string(url_.port),
                          [lookup](const error_code& error, const tcp::resolver::results_type& results) {
                            lookup->done = true;
                            if (!error) lookup->endpoints.assign(results.begin(), results.end());
                            lookup->bell.cancel();
                          });
  error_code ignored;
  co_await lookup->bell.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  if (!lookup->done) {
    resolver_.cancel();
    co_return std::unexpected("looking up the server's name took too long");
  }
  if (lookup->endpoints.empty()) co_return std::unexpected("the server's name has no address");
  co_return std::move(lookup->endpoints);
}

// A server that has gone without a word is noticed within half a minute, also when nobody asks it anything.
void RedisLink::Impl::keep_alive() {
  error_code ignored;
  socket_.set_option(tcp::no_delay(true), ignored);
  socket_.set_option(asio::socket_base::keep_alive(true), ignored);
  const auto set = [fd = socket_.native_handle()](int option, int value) {
    ::setsockopt(fd, IPPROTO_TCP, option, &value, sizeof value);
  };
  set(TCP_KEEPIDLE, 15);
  set(TCP_KEEPINTVL, 5);
  set(TCP_KEEPCNT, 3);
}

// Proves that a Redis is there and lets us in. What is wrong; empty if nothing.
asio::awaitable<std::string> RedisLink::Impl::greet(Replies& replies) {
  std::vector<std::string> names;
  std::vector<base::Secret> greeting;
  const auto add = [&](const char* name, const RedisCommand& command) {
    names.emplace_back(name);
    greeting.push_back(format(command));
  };
  if (!url_.password.empty()) {
    add("AUTH", url_.user.empty() ? redis_command({"AUTH", url_.password.reveal()})
                                  : redis_command({"AUTH", url_.user, url_.password.reveal()}));
  }
  if (url_.database != 0) add("SELECT", redis_command({"SELECT", std::to_string(url_.database)}));
  add("PING", redis_command({"PING"}));
  error_code error;
  const std::vector<asio::const_buffer> buffers = buffers_of(greeting);
  co_await asio::async_write(socket_, buffers, asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return "the connection was lost";
  Converted said;
  for (std::size_t i = 0; i < names.size();) {
    const Replies::Next next = replies.next(said);
    if (next == Replies::Next::kBroken) co_return "the server does not speak the protocol of Redis";
    if (next == Replies::Next::kMore) {
      const bool received = co_await receive(replies);
      if (!received) co_return "the server closed the connection";
      continue;
    }
    // Whoever may not even PING has still been let in: permissions can be as narrow as that.
    const bool harmless = !said && names[i] == "PING" && said.error() == "NOPERM";
    if (!said && !harmless) co_return names[i] + " was refused: " + said.error();
    ++i;
  }
  co_return std::string();
}

// Reads replies until that ends; says why.
asio::awaitable<std::string> RedisLink::Impl::read(Replies& replies) {
  const std::uint64_t connection = connection_;
  Converted reply;
  while (true) {
    const Replies::Next next = replies.next(reply);
    if (next == Replies::Next::kBroken) {
      co_return "the server does not speak the protocol of Redis, or a reply is too long";
    }
    if (next == Replies::Next::kReply) {
      if (!deliver(std::move(reply))) co_return "the server said something that it was not asked";
      continue;
    }
    const bool received = co_await receive(replies);
    if (connection != connection_) co_return why_;
    if (!received) co_return "the server closed the connection";
  }
}

asio::awaitable<bool> RedisLink::Impl::receive(Replies& replies) {
  const std::uint64_t connection = connection_;
  error_code error;
  const std::size_t size = co_await socket_.async_read_some(asio::buffer(input_),
                                                            asio::redirect_error(asio::use_awaitable, error));
  if (error || connection != connection_) co_return false;
  heard_ = Clock::now();
  co_return replies.feed({input_.data(), size});
}

void RedisLink::Impl::up() {
  state_ = State::kUp;
  connected_.store(true, std::memory_order_relaxed);
  while (!early_.empty()) {
    send(std::move(early_.front()));
    early_.pop_front();
  }
  tell(true, url_.address());
}

void RedisLink::Impl::down(const std::string& why) {
  ++connection_;
  error_code ignored;
  socket_.close(ignored);
  if (!stopped()) state_ = State::kDown;
  connected_.store(false, std::memory_order_relaxed);
  why_ = url_.address() + ": " + why;
  fail_all();
  if (!stopped()) tell(false, why_);
}

void RedisLink::Impl::fail_all() {
  output_.clear();
  writing_ = false;
  pending_ = 0;
  for (std::deque<QuestionRef>* const queue : {&early_, &sent_}) {
    for (const QuestionRef& question : std::exchange(*queue, {})) {
      question->failure = {RedisError::kUnavailable, why_};
      finish(*question);
    }
  }
}

void RedisLink::Impl::tell(bool connected, const std::string& detail) {
  if (told_ == detail) return;
  told_ = detail;
  if (options_.on_change) options_.on_change(connected, detail);
}

void RedisLink::Impl::stop() {
  state_ = State::kStopped;
  timer_.cancel();
  resolver_.cancel();
  down("the link has been closed");
}

// ---- RedisLink

RedisLink::RedisLink(asio::io_context& context, RedisUrl url, RedisLinkOptions options)
    : impl_(std::make_shared<Impl>(context, std::move(url), std::move(options))) {
  impl_->start();
}

RedisLink::~RedisLink() { impl_->stop(); }

bool RedisLink::connected() const noexcept { return impl_->connected(); }

asio::awaitable<RedisLink::Results> RedisLink::pipeline(std::vector<RedisCommand> commands) {
  return impl_->ask(impl_, std::move(commands));
}

asio::awaitable<RedisLink::Result> RedisLink::command(RedisCommand command) {
  std::vector<RedisCommand> commands;
  commands.push_back(std::move(command));
  return [](asio::awaitable<Results> pending) -> asio::awaitable<Result> {
    auto results = co_await std::move(pending);
    if (!results) co_return std::unexpected(std::move(results.error()));
    co_return std::move(results->front());
  }(pipeline(std::move(commands)));
}

}  // namespace sallyport::io
