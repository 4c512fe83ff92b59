#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sallyport/awaitable.h"
#include "sallyport/revocation.h"
#include "server/metrics.h"

namespace sallyport::server {

/// One open connection, as an administrator sees it. Nothing in it is a credential.
struct ConnectionInfo {
  std::string id;
  std::string subject;
  std::string issuer;
  std::string session;    ///< empty: there is none
  std::string route;
  std::string address;
  WallTime opened_at;
  std::optional<WallTime> expires_at;
  std::string verifier;   ///< the name of whoever accepted it
  std::string credential; ///< how it was presented: "header"
  std::string node;
};

struct ConnectionQuery {
  std::optional<std::string> subject = {};
  std::optional<std::string> route = {};  ///< as it was registered: "/chat/:room"
  std::size_t limit = 100;                ///< at most `Control::kPageMax`
  std::string cursor = {};                ///< of the page before; empty: the first
};
struct ConnectionPage {
  std::vector<ConnectionInfo> connections;
  std::string cursor;  ///< empty: this is the last page
};

struct ChannelInfo {
  std::string channel;
  std::size_t subscribers;
};

/// What an administrator may ask of a running app. Every function is called on the control thread; those that
/// wait do so for the workers, not for the network.
class Control {
 public:
  static constexpr std::size_t kPageMax = 1000;

  virtual ~Control() = default;
  /// Answered once every worker has applied it and the store has it.
  [[nodiscard]] virtual awaitable<std::expected<RevokeResult, RevokeFault>> revoke(RevokeRequest request) = 0;
  /// In order of their numbers.
  [[nodiscard]] virtual std::vector<Revocation> revocations() const = 0;
  /// Later handshakes do not meet it any more. False: there is none of that number. kNotDurable as in `revoke`.
  [[nodiscard]] virtual awaitable<std::expected<bool, RevokeFault>> lift(std::uint64_t id) = 0;

  /// Nothing if the cursor is none of ours.
  [[nodiscard]] virtual awaitable<std::optional<ConnectionPage>> connections(ConnectionQuery query) = 0;
  /// Closes the connection of that id with 3003, `evicted`: by the table its client does not come back by itself.
  /// How many that were, 0 or 1.
  [[nodiscard]] virtual awaitable<std::size_t> close(std::string id) = 0;
  /// To everyone in the channel: a hub's publication whose subject is empty. How many subscribers it had.
  [[nodiscard]] virtual awaitable<std::size_t> publish(std::string channel, std::string data_json) = 0;
  [[nodiscard]] virtual awaitable<std::vector<ChannelInfo>> channels() = 0;
  [[nodiscard]] virtual awaitable<MetricsSnapshot> metrics() = 0;

  [[nodiscard]] virtual std::string_view node() const noexcept = 0;
  /// No longer taking new connections.
  [[nodiscard]] virtual bool draining() const noexcept = 0;
};

}  // namespace sallyport::server
