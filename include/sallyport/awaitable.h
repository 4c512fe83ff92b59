#pragma once

#include <boost/asio/awaitable.hpp>

namespace sallyport {

/// What an asynchronous hook returns: an Asio coroutine, which may `co_await` anything that Asio can
/// wait for. It runs on the connection's worker; it must not block.
template <typename T>
using awaitable = boost::asio::awaitable<T>;

}  // namespace sallyport
