#include "server/hub.h"

#include <algorithm>
#include <utility>

#include "server/connection.h"

namespace sallyport::server {

class Channel {
 public:
  struct Member {
    Connection* connection;      // null: it has left while the channel was being delivered to
    std::uint32_t subscription;  // its place in the connection's list
  };
  std::string name;
  std::vector<Member> members;
  std::size_t gaps = 0;  // how many of them have left
};

Hub::Hub(int& budget) : budget_(budget) {}
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
  mine.push_back({&channel, static_cast<std::uint32_t>(channel.members.size()), delivered_});
  channel.members.push_back({&connection, static_cast<std::uint32_t>(mine.size() - 1)});
  return Joined::kYes;
}

bool Hub::unsubscribe(Connection& connection, std::string_view name) {
  const std::vector<Subscription>& mine = connection.subscriptions();
  for (std::size_t i = 0; i < mine.size(); ++i) {
    if (mine[i].channel->name != name) continue;
    remove(connection, i);
    connection.left_channel();
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

  if (&channel == current_) {
    // Nobody moves to another place while they are called one after the other.
    channel.members[member].connection = nullptr;
    ++channel.gaps;
  } else {
    channel.members[member] = channel.members.back();
    const Channel::Member& moved = channel.members[member];
    moved.connection->subscriptions()[moved.subscription].member = member;
    channel.members.pop_back();
  }

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

const std::string& Hub::name_of(const Channel& channel) noexcept { return channel.name; }

void Hub::caught_up(Connection& connection, std::string_view name, std::uint64_t since) {
  for (Subscription& subscription : connection.subscriptions()) {
    if (subscription.channel->name == name) subscription.since = since;
  }
}

std::uint64_t Hub::delivered_to(const Connection& connection) const noexcept {
  for (const Subscription& subscription : connection.subscriptions()) {
    const bool due = subscription.channel == current_ && subscription.member >= next_ && subscription.member < end_;
    if (due) return delivered_ - 1;
  }
  return delivered_;
}

std::vector<std::pair<std::string, std::size_t>> Hub::members() const {
  std::vector<std::pair<std::string, std::size_t>> all;
  all.reserve(channels_.size());
  for (const auto& [name, channel] : channels_) all.emplace_back(name, channel->members.size() - channel->gaps);
  return all;
}

// ---- Delivering

void Hub::publish(const Publication& publication) {
  --budget_;  // a channel without members costs something too
  delivered_ = publication.number;
  const auto found = channels_.find(publication.channel);
  if (found == channels_.end()) return;
  current_ = found->second.get();
  frame_ = publication.frame;
  next_ = 0;
  end_ = current_->members.size();
  go_on();
}

// A delivery may close its connection, and closing runs callbacks that may join, leave and publish. Connections
// stay in memory until the turn ends and judge for themselves whether they still take anything.
void Hub::go_on() {
  if (delivering_ || current_ == nullptr) return;
  delivering_ = true;
  for (; next_ < end_ && budget_ > 0; ++next_) {
    --budget_;
    if (Connection* const member = current_->members[next_].connection) member->deliver(frame_, delivered_);
  }
  if (next_ == end_) finish();
  delivering_ = false;
}

// Closes the gaps with members from the end, and tells their other halves where they now are.
void Hub::finish() {
  Channel& channel = *std::exchange(current_, nullptr);
  frame_ = nullptr;
  std::vector<Channel::Member>& members = channel.members;
  for (std::size_t i = 0; channel.gaps > 0 && i < members.size();) {
    if (members[i].connection != nullptr) {
      ++i;
      continue;
    }
    members[i] = members.back();
    members.pop_back();
    --channel.gaps;
    if (i < members.size() && members[i].connection != nullptr) {
      members[i].connection->subscriptions()[members[i].subscription].member = static_cast<std::uint32_t>(i);
    }
  }
  if (members.empty()) channels_.erase(channels_.find(channel.name));
}

}  // namespace sallyport::server
