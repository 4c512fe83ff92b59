#include "server/request_state.h"

#include <utility>

#include "core/base/base64url.h"
#include "core/http/query.h"

namespace sallyport::server {

std::string text_of(const ConnectionId& id) {
  return base::base64url_encode({reinterpret_cast<const char*>(id.data()), id.size()});
}

std::optional<ConnectionId> connection_id(std::string_view text) {
  const auto bytes = base::base64url_decode(text);
  ConnectionId id;
  if (!bytes || bytes->size() != id.size()) return std::nullopt;
  std::copy_n(bytes->begin(), id.size(), id.begin());
  return id;
}

std::string_view RequestState::param(std::string_view name) const noexcept {
  for (const http::RouteParam& param : params) {
    if (param.name == name) return param.value;
  }
  return {};
}

const std::any* RequestState::local(std::string_view name) const {
  const auto found = locals.find(name);
  return found == locals.end() ? nullptr : &found->second;
}

}  // namespace sallyport::server

namespace sallyport {

std::string_view Request::method() const { return state_->head.method(); }
std::string_view Request::path() const { return state_->head.raw_path(); }
std::string_view Request::target() const { return state_->head.target(); }
std::string_view Request::host() const { return state_->head.host(); }

std::optional<std::string_view> Request::header(std::string_view name) const {
  return state_->head.find(name);
}

std::optional<std::string> Request::query(std::string_view name) const {
  auto value = http::find_query_parameter(state_->head.query().value_or(""), name);
  return value ? std::move(*value) : std::nullopt;
}

std::string_view Request::param(std::string_view name) const { return state_->param(name); }
std::string Request::address() const { return state_->address.text(); }
std::string Request::connection_id() const { return server::text_of(state_->id); }

void Request::locals(std::string name, std::any value) {
  state_->locals.insert_or_assign(std::move(name), std::move(value));
}

void Request::log(const LogEvent& event) const {
  if (state_->log != nullptr && *state_->log) (*state_->log)(event);
}

void Request::respond(Response response) {
  if (!state_->response) state_->response = std::move(response);
}

const std::any* Request::find_local(std::string_view name) const { return state_->local(name); }

}  // namespace sallyport
