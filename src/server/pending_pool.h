#pragma once

#include <list>
#include <optional>
#include <unordered_map>

#include "core/http/address.h"

namespace sallyport::server {

class Connection;

/// One worker's sockets that have not authenticated, oldest first, in all and per address: whom to give up when
/// there are too many. Belongs to the worker's thread.
class PendingPool {
 public:
  /// A connection's place in the pool. Leaves the pool when destroyed.
  class Ticket {
   public:
    Ticket() = default;
    ~Ticket() { leave(); }
    Ticket(const Ticket&) = delete;
    Ticket& operator=(const Ticket&) = delete;
    [[nodiscard]] bool held() const noexcept { return pool_ != nullptr; }
    /// What it is counted under; nothing while that is not known (see `attribute`).
    [[nodiscard]] const std::optional<http::IpAddress>& key() const noexcept { return key_; }
    void leave() noexcept {
      if (pool_ == nullptr) return;
      pool_->all_.erase(in_all_);
      if (key_) {
        const auto list = pool_->by_address_.find(*key_);
        list->second.erase(in_address_);
        if (list->second.empty()) pool_->by_address_.erase(list);
      }
      pool_ = nullptr;
    }

   private:
    friend class PendingPool;
    PendingPool* pool_ = nullptr;
    std::optional<http::IpAddress> key_;
    std::list<Connection*>::iterator in_all_;
    std::list<Connection*>::iterator in_address_;
  };

  void enter(Connection& connection, const std::optional<http::IpAddress>& address, Ticket& ticket) {
    ticket.pool_ = this;
    ticket.in_all_ = all_.insert(all_.end(), &connection);
    if (address) attribute(connection, *address, ticket);
  }
  /// Once, for a connection that entered without an address.
  void attribute(Connection& connection, const http::IpAddress& address, Ticket& ticket) {
    ticket.key_ = http::limit_key(address);
    auto& list = by_address_[*ticket.key_];
    ticket.in_address_ = list.insert(list.end(), &connection);
  }

  /// The one that has waited longest, or null.
  [[nodiscard]] Connection* oldest() const noexcept { return all_.empty() ? nullptr : all_.front(); }
  [[nodiscard]] Connection* oldest_of(const http::IpAddress& address) const noexcept {
    const auto list = by_address_.find(http::limit_key(address));
    return list == by_address_.end() ? nullptr : list->second.front();
  }
  [[nodiscard]] std::size_t size() const noexcept { return all_.size(); }

 private:
  std::list<Connection*> all_;
  std::unordered_map<http::IpAddress, std::list<Connection*>, http::IpAddressHash> by_address_;
};

}  // namespace sallyport::server
