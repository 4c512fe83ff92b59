#include "core/auth/live_index.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace sallyport::auth {
namespace {

constexpr std::size_t kHeadsMin = 64;

// SipHash-1-3 (Aumasson and Bernstein): subjects come from peers, and without the key nobody finds two that
// collide.
class SipHash {
 public:
  SipHash(std::uint64_t key0, std::uint64_t key1) noexcept
      : a_(key0 ^ 0x736f6d6570736575U), b_(key1 ^ 0x646f72616e646f6dU), c_(key0 ^ 0x6c7967656e657261U),
        d_(key1 ^ 0x7465646279746573U) {}

  std::uint64_t operator()(std::string_view text) noexcept {
    std::uint64_t last = static_cast<std::uint64_t>(text.size()) << 56;
    while (text.size() >= sizeof last) {
      std::uint64_t word = 0;
      std::memcpy(&word, text.data(), sizeof word);
      take(word);
      text.remove_prefix(sizeof word);
    }
    for (std::size_t i = 0; i < text.size(); ++i) {
      last |= static_cast<std::uint64_t>(static_cast<unsigned char>(text[i])) << (8 * i);
    }
    take(last);
    c_ ^= 0xff;
    for (int i = 0; i < 3; ++i) round();
    return a_ ^ b_ ^ c_ ^ d_;
  }

 private:
  void take(std::uint64_t word) noexcept {
    d_ ^= word;
    round();
    a_ ^= word;
  }
  void round() noexcept {
    a_ += b_;
    b_ = std::rotl(b_, 13) ^ a_;
    a_ = std::rotl(a_, 32);
    c_ += d_;
    d_ = std::rotl(d_, 16) ^ c_;
    a_ += d_;
    d_ = std::rotl(d_, 21) ^ a_;
    c_ += b_;
    b_ = std::rotl(b_, 17) ^ c_;
    c_ = std::rotl(c_, 32);
  }

  std::uint64_t a_, b_, c_, d_;
};

}  // namespace

std::uint32_t LiveIndex::hash(std::string_view text) const noexcept {
  return static_cast<std::uint32_t>(SipHash(seed_, ~seed_)(text));
}

std::uint32_t LiveIndex::hash(std::uint64_t name) noexcept { return static_cast<std::uint32_t>(name); }

void LiveIndex::enter(std::uint32_t slot, const Principal& who, std::uint64_t name) {
  leave(slot);
  const auto put = [&](Key key, std::string_view text) {
    if (!text.empty()) link(tables_[static_cast<std::size_t>(key)], slot, hash(text));
  };
  put(Key::kSubject, who.subject);
  put(Key::kSession, who.session);
  put(Key::kTokenId, who.token_id);
  link(tables_[static_cast<std::size_t>(Key::kName)], slot, hash(name));
  ++size_;
}

void LiveIndex::leave(std::uint32_t slot) {
  const Table& names = table(Key::kName);
  if (slot >= names.links.size() || names.links[slot].before == kOutside) return;
  for (Table& each : tables_) unlink(each, slot);
  --size_;
}

void LiveIndex::candidates(const Selector& selector, const std::function<void(std::uint32_t)>& each) const {
  if (selector.token_id) return visit(table(Key::kTokenId), hash(*selector.token_id), each);
  if (selector.session) return visit(table(Key::kSession), hash(*selector.session), each);
  if (selector.subject) return visit(table(Key::kSubject), hash(*selector.subject), each);
}

void LiveIndex::named(std::uint64_t name, const std::function<void(std::uint32_t)>& each) const {
  visit(table(Key::kName), hash(name), each);
}

void LiveIndex::visit(const Table& table, std::uint32_t hash,
                      const std::function<void(std::uint32_t)>& visit) {
  if (table.heads.empty()) return;
  for (std::uint32_t slot = table.heads[hash & (table.heads.size() - 1)]; slot != kNone;
       slot = table.links[slot].after) {
    if (table.links[slot].hash == hash) visit(slot);
  }
}

void LiveIndex::link(Table& table, std::uint32_t slot, std::uint32_t hash) {
  if (slot >= table.links.size()) table.links.resize(static_cast<std::size_t>(slot) + 1);
  if (table.entered >= table.heads.size()) grow(table);
  std::uint32_t& head = table.heads[hash & (table.heads.size() - 1)];
  table.links[slot] = {.hash = hash, .before = kNone, .after = head};
  if (head != kNone) table.links[head].before = slot;
  head = slot;
  ++table.entered;
}

void LiveIndex::unlink(Table& table, std::uint32_t slot) {
  if (slot >= table.links.size() || table.links[slot].before == kOutside) return;
  const Link gone = table.links[slot];
  if (gone.before == kNone) {
    table.heads[gone.hash & (table.heads.size() - 1)] = gone.after;
  } else {
    table.links[gone.before].after = gone.after;
  }
  if (gone.after != kNone) table.links[gone.after].before = gone.before;
  table.links[slot] = {};
  --table.entered;
}

// Twice as many chains, each of those that are there put into its new one.
void LiveIndex::grow(Table& table) {
  table.heads.assign(std::max(kHeadsMin, 2 * table.heads.size()), kNone);
  for (std::uint32_t slot = 0; slot < table.links.size(); ++slot) {
    Link& link = table.links[slot];
    if (link.before == kOutside) continue;
    std::uint32_t& head = table.heads[link.hash & (table.heads.size() - 1)];
    link.before = kNone;
    link.after = head;
    if (head != kNone) table.links[head].before = slot;
    head = slot;
  }
}

}  // namespace sallyport::auth
