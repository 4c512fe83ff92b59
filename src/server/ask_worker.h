#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "sallyport/awaitable.h"
#include "server/worker.h"

namespace sallyport::server {

/// Has a worker answer a question, on its own thread, and resumes the caller on `home`, where it must be running. A
/// worker that has ended never answers: then the app has ended too, and with it whoever waits here.
template <typename T>
awaitable<T> ask_worker(boost::asio::io_context& home, Worker& worker, std::function<T(Worker&)> question) {
  struct Answer {
    explicit Answer(boost::asio::io_context& context)
        : bell(context, boost::asio::steady_timer::time_point::max()) {}
    boost::asio::steady_timer bell;
    std::optional<T> value;
  };
  const auto answer = std::make_shared<Answer>(home);
  worker.post([target = &worker, &home, question = std::move(question), answer] {
    auto value = std::make_shared<T>(question(*target));
    boost::asio::post(home, [answer, value] {
      answer->value = std::move(*value);
      answer->bell.cancel();
    });
  });
  boost::system::error_code ignored;
  while (!answer->value) {
    co_await answer->bell.async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
    // Whoever is cancelled while it waits has gone.
    if (!answer->value && ignored == boost::asio::error::operation_aborted) {
      const auto state = co_await boost::asio::this_coro::cancellation_state;
      if (state.cancelled() != boost::asio::cancellation_type::none) throw boost::system::system_error(ignored);
    }
  }
  co_return std::move(*answer->value);
}

}  // namespace sallyport::server
