#pragma once

#include <exception>
#include <string>

#include "server/connection.h"
#include "server/events.h"
#include "server/worker.h"

namespace sallyport::server {

// A user's callback is fenced: what it throws is logged, its connection is closed with 1011, everyone else
// goes on.
template <typename Callback>
void Connection::guard(Callback&& callback) {
  std::string what;
  try {
    callback();
    return;
  } catch (...) {
    what = what_of(std::current_exception());
  }
  Event(worker_.shared().options.log, LogLevel::kError, "ws.handler_threw")
      .with("connection", text_of(id_))
      .with("route", route_ != nullptr ? route_->path : std::string())
      .with("what", what);
  if (state_.live()) apply(auth::CloseRequested{Failure::kInternal});
}

}  // namespace sallyport::server
