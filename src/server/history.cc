#include "server/history.h"

#include <algorithm>
#include <iterator>

namespace sallyport::server {

void History::keep_for(base::Milliseconds age) {
  const std::lock_guard lock(mutex_);
  age_ = age;
  if (age_ > base::Milliseconds(0)) return;
  items_.clear();
  channels_.clear();
  bytes_ = 0;
  forgotten_ = last_number_;
}

std::uint64_t History::append(std::string_view name, const Frame& frame, base::MonoTime now) {
  const std::uint64_t number = ++last_number_;
  if (age_ <= base::Milliseconds(0)) {
    forgotten_ = number;
    return number;
  }
  expire(now, kExpiredPerPublication);
  auto found = channels_.find(name);
  if (found == channels_.end()) {
    if (channels_.size() >= kChannels) forget_channel(*items_.front().channel);
    found = channels_.emplace(std::string(name), Channel{.forgotten = forgotten_}).first;
  }
  Channels::value_type& entry = *found;
  Channel& channel = entry.second;
  const bool too_large = frame->size() > kBytesPerChannel;
  items_.push_back({.number = number, .at = now, .frame = too_large ? nullptr : frame, .channel = &entry});
  if (too_large) channel.forgotten = number;
  const auto item = std::prev(items_.end());
  if (channel.count == 0) {
    channel.first = item;
  } else {
    channel.last->next = item;
  }
  channel.last = item;
  ++channel.count;
  channel.bytes += item->bytes();
  bytes_ += item->bytes();
  while (channel.count > 1 && (channel.count > kPublicationsPerChannel || channel.bytes > kBytesPerChannel)) {
    forget_first(entry);
  }
  while (bytes_ > kBytes) forget_first(*items_.front().channel);
  return number;
}

// Its oldest one, and the channel itself with its last.
void History::forget_first(Channels::value_type& entry) {
  Channel& channel = entry.second;
  const auto item = channel.first;
  channel.forgotten = std::max(channel.forgotten, item->number);
  channel.bytes -= item->bytes();
  bytes_ -= item->bytes();
  channel.first = item->next;
  items_.erase(item);
  if (--channel.count != 0) return;
  // From here on nobody can tell it from a channel that never was, so what is true of it is said of all of those.
  forgotten_ = std::max(forgotten_, channel.forgotten);
  channels_.erase(channels_.find(entry.first));
}

void History::forget_channel(Channels::value_type& entry) {
  for (std::size_t left = entry.second.count; left > 0; --left) forget_first(entry);
}

void History::expire(base::MonoTime now, std::size_t most) {
  for (; most > 0 && !items_.empty() && now - items_.front().at > age_; --most) {
    forget_first(*items_.front().channel);
  }
}

void History::expire(base::MonoTime now) {
  constexpr std::size_t kAtOnce = 1000;  // then those who publish have their go
  for (;;) {
    const std::lock_guard lock(mutex_);
    expire(now, kAtOnce);
    if (items_.empty() || now - items_.front().at <= age_) return;
  }
}

History::Found History::find(std::span<const Wanted> wanted, std::uint64_t until) const {
  Found result;
  result.forgotten.reserve(wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const std::lock_guard lock(mutex_);  // for one channel at a time: those who publish do not wait for all of them
    const auto found = channels_.find(wanted[i].channel);
    if (found == channels_.end()) {
      result.forgotten.push_back(forgotten_);
      continue;
    }
    const Channel& channel = found->second;
    result.forgotten.push_back(channel.forgotten);
    auto item = channel.first;
    for (std::size_t left = channel.count; left > 0 && item->number <= until; --left) {
      if (item->number > wanted[i].since && item->frame != nullptr) {
        result.entries.push_back({item->number, item->frame, static_cast<std::uint32_t>(i)});
      }
      if (left > 1) item = item->next;
    }
  }
  std::sort(result.entries.begin(), result.entries.end(),
            [](const Entry& a, const Entry& b) { return a.number < b.number; });
  return result;
}

std::uint64_t History::last() const {
  const std::lock_guard lock(mutex_);
  return last_number_;
}

std::size_t History::channels() const {
  const std::lock_guard lock(mutex_);
  return channels_.size();
}

std::size_t History::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace sallyport::server
