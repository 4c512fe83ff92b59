#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

namespace sallyport::io {

/// Asks another thread: runs `question` as a coroutine on `context` and resumes the caller, on its own thread,
/// with what it returns or throws. A caller that is cancelled stops waiting (it throws operation_aborted); the
/// question runs on, since others may wait for its answer too, and must end by a deadline of its own. The
/// caller's context must outlive the run of `context`.
template <typename T>
boost::asio::awaitable<T> ask(boost::asio::io_context& context,
                              std::function<boost::asio::awaitable<T>()> question) {
  namespace asio = boost::asio;
  struct Exchange {
    std::optional<T> answer;
    std::exception_ptr error;
    asio::steady_timer* bell = nullptr;  // touched by the caller's thread only; null: nobody waits any more
  };
  const auto executor = co_await asio::this_coro::executor;
  asio::steady_timer bell(executor, asio::steady_timer::time_point::max());
  const auto exchange = std::make_shared<Exchange>();
  exchange->bell = &bell;
  struct Leave {
    Exchange& exchange;
    ~Leave() { exchange.bell = nullptr; }
  } leave{*exchange};
  asio::co_spawn(
      context,
      [](std::function<asio::awaitable<T>()> run, std::shared_ptr<Exchange> shared,
         asio::any_io_executor back) -> asio::awaitable<void> {
        std::optional<T> answer;
        std::exception_ptr error;
        try {
          answer.emplace(co_await run());
        } catch (...) {
          error = std::current_exception();
        }
        asio::post(back, [shared = std::move(shared), answer = std::move(answer), error]() mutable {
          if (shared->bell == nullptr) return;
          shared->answer = std::move(answer);
          shared->error = error;
          shared->bell->cancel();
        });
      }(std::move(question), exchange, executor),
      asio::detached);
  boost::system::error_code ignored;
  co_await bell.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  if (exchange->error) std::rethrow_exception(exchange->error);
  if (!exchange->answer) throw boost::system::system_error(asio::error::operation_aborted);
  co_return std::move(*exchange->answer);
}

}  // namespace sallyport::io
