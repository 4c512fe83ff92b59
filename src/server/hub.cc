#include "server/hub.h"

#include <algorithm>
#include <utility>

#include "server/connection.h"

namespace sallyport::server {

class Channel {
 public:
  struct Member {
    Connection* connection;
    std::uint32_t subscription;  // its place in the connection's list
  };
  std::string name;
  std::vector<Member> members;
};

Hub::Hub() = default;
Hub::~Hub() = default;

Hub::Joined Hub::subscribe(Connection& connection, std::string_view name) {
  std::vector<Subscription>& mine = connection.subscriptions();
  for (const Subscription& subscription : mine) {
    if (subscription.channel->name == name) return Joined::kAlready;
  }
  if (mine.size() >= kChannelsPerConnection) return Joined::kTooMany;
  auto found = channels_.find(name);
  if (found == channels_.end()) {
    found = channels_.emplace(std::string(name), std::make_unique<Channel>()).first;
    found->second->name = std::string(name);
  }
  Channel& channel = *found->second;
  mine.push_back({&channel, static_cast<std::uint32_t>(channel.members.size())});
  channel.members.push_back({&connection, static_cast<std::uint32_t>(mine.size() - 1)});
  return Joined::kYes;
}

bool Hub::unsubscribe(Connection& connection, std::string_view name) {
  const std::vector<Subscription>& mine = connection.subscriptions();
  for (std::size_t i = 0; i < mine.size(); ++i) {
    if (mine[i].channel->name != name) continue;
    remove(connection, i);
    return true;
  }
  return false;
}

void Hub::leave_all(Connection& connection) {
  std::vector<Subscription>& mine = connection.subscriptions();
  while (!mine.empty()) remove(connection, mine.size() - 1);
  std::vector<Subscription>().swap(mine);
}

// Fills both gaps with the last element of each list and tells that element's other half where it now is.
void Hub::remove(Connection& connection, std::size_t position) {
  std::vector<Subscription>& mine = connection.subscriptions();
  Channel& channel = *mine[position].channel;
  const std::uint32_t member = mine[position].member;

  channel.members[member] = channel.members.back();
  const Channel::Member& moved = channel.members[member];
  moved.connection->subscriptions()[moved.subscription].member = member;
  channel.members.pop_back();

  mine[position] = mine.back();
  mine.pop_back();
  if (position < mine.size()) {
    mine[position].channel->members[mine[position].member].subscription =
        static_cast<std::uint32_t>(position);
  }
  if (channel.members.empty()) channels_.erase(channels_.find(channel.name));
}

std::vector<std::string> Hub::channels_of(const Connection& connection) {
  std::vector<std::string> names;
  for (const Subscription& subscription : connection.subscriptions()) {
    names.push_back(subscription.channel->name);
  }
  return names;
}

std::size_t Hub::deliver(std::string_view name, const Frame& frame) {
  const auto found = channels_.find(name);
  if (found == channels_.end()) return 0;
  // A delivery may close its connection, and closing runs callbacks that may join, leave and publish: go
  // over a copy. Connections stay in memory until the turn ends and judge for themselves whether they
  // still take anything.
  std::vector<Connection*> receivers = std::exchange(receivers_, {});
  receivers.clear();
  for (const Channel::Member& member : found->second->members) receivers.push_back(member.connection);
  std::size_t taken = 0;
  for (Connection* const connection : receivers) taken += connection->deliver(frame) ? 1 : 0;
  receivers_ = std::move(receivers);
  return taken;
}

}  // namespace sallyport::server
