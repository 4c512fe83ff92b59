#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/base/assert.h"
#include "core/base/clock.h"

namespace sallyport::base {

/// An intrusive hashed timer wheel: a million deadlines cost a list node each, arming and disarming
/// are constant time, and an idle wheel says exactly when it wants to be looked at again.
/// Pure: time comes in as an argument. Belongs to one thread.
class TimerWheel {
 public:
  /// Embed one in whatever waits. It must stay at its address while armed.
  class Node {
   public:
    Node() = default;
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;
    ~Node() { SALLYPORT_ASSERT(next_ == nullptr); }
    [[nodiscard]] bool armed() const noexcept { return next_ != nullptr; }
    [[nodiscard]] MonoTime deadline() const noexcept { return deadline_; }

   private:
    friend class TimerWheel;
    Node* previous_ = nullptr;
    Node* next_ = nullptr;
    MonoTime deadline_ = kNever;
  };

  /// Deadlines are met within one tick after they pass, never before.
  static constexpr Milliseconds kTick{16};
  static constexpr std::size_t kSlots = 8192;  // 131 s a round; longer deadlines stay for another

  explicit TimerWheel(MonoTime start) : next_tick_(tick_of(start)), slots_(kSlots) {
    for (Node& head : slots_) head.previous_ = head.next_ = &head;
    due_.previous_ = due_.next_ = &due_;
  }
  ~TimerWheel() {
    for (Node& head : slots_) clear(head);
    clear(due_);
  }
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  /// Arms or re-arms `node`; `kNever` disarms it.
  void arm(Node& node, MonoTime deadline) noexcept {
    if (node.armed()) {
      if (node.deadline_ == deadline) return;
      disarm(node);
    }
    node.deadline_ = deadline;
    if (deadline == kNever) return;
    // Rounding up keeps the promise of never firing early; a deadline already past goes to the
    // next tick that will be looked at.
    std::int64_t tick = tick_of(deadline + kTick - Milliseconds(1));
    if (tick < next_tick_) tick = next_tick_;
    link(slots_[static_cast<std::size_t>(tick) % kSlots], node);
    mark(static_cast<std::size_t>(tick) % kSlots);
    ++size_;
  }

  void disarm(Node& node) noexcept {
    if (!node.armed()) return;
    unlink(node);
    --size_;
  }

  /// Takes one expired node off the wheel, or nothing if none is due at `now`. Call it until it
  /// returns nothing, or stop earlier and go on in the next turn: the rest stays due.
  [[nodiscard]] Node* pop_expired(MonoTime now) noexcept {
    const std::int64_t current = tick_of(now);
    // A wheel that was not looked at for longer than a round sees every slot once, not more.
    if (current - next_tick_ > kRound) next_tick_ = current - kRound;
    while (due_.next_ == &due_ && next_tick_ <= current) {
      collect(static_cast<std::size_t>(next_tick_) % kSlots, now);
      ++next_tick_;
    }
    Node* const node = due_.next_;
    if (node == &due_) return nullptr;
    unlink(*node);
    --size_;
    return node;
  }

  /// When to call `pop_expired` next: the first tick that has a node in its slot (that node may
  /// belong to a later round, then the call finds nothing). `kNever` when nothing is armed.
  [[nodiscard]] MonoTime next_deadline() const noexcept {
    if (size_ == 0) return kNever;
    if (due_.next_ != &due_) return MonoTime(kTick * (next_tick_ - 1));
    for (std::size_t ahead = 0; ahead < kSlots;) {
      const std::size_t slot = static_cast<std::size_t>(next_tick_ + static_cast<std::int64_t>(ahead)) % kSlots;
      const std::uint64_t word = occupied_[slot / 64] >> (slot % 64);
      if (word == 0) {
        ahead += 64 - slot % 64;
        continue;
      }
      ahead += static_cast<std::size_t>(std::countr_zero(word));
      if (ahead >= kSlots) break;
      return MonoTime(kTick * (next_tick_ + static_cast<std::int64_t>(ahead)));
    }
    return kNever;
  }

  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  static constexpr std::int64_t kRound = static_cast<std::int64_t>(kSlots);

  // Moves what is due from a slot to the list of the due; nodes of later rounds stay.
  void collect(std::size_t slot, MonoTime now) noexcept {
    if (!marked(slot)) return;
    Node& head = slots_[slot];
    for (Node* node = head.next_; node != &head;) {
      Node* const following = node->next_;
      if (node->deadline_ <= now) {
        unlink(*node);
        link(due_, *node);
      }
      node = following;
    }
    if (head.next_ == &head) unmark(slot);
  }
  void clear(Node& head) noexcept {
    while (head.next_ != &head) unlink(*head.next_);
    head.previous_ = head.next_ = nullptr;
  }
  static std::int64_t tick_of(MonoTime time) noexcept {
    return time.time_since_epoch() / kTick;
  }
  void link(Node& head, Node& node) noexcept {
    node.previous_ = head.previous_;
    node.next_ = &head;
    head.previous_->next_ = &node;
    head.previous_ = &node;
  }
  void unlink(Node& node) noexcept {
    node.previous_->next_ = node.next_;
    node.next_->previous_ = node.previous_;
    node.previous_ = node.next_ = nullptr;
  }
  void mark(std::size_t slot) noexcept { occupied_[slot / 64] |= 1ULL << (slot % 64); }
  void unmark(std::size_t slot) noexcept { occupied_[slot / 64] &= ~(1ULL << (slot % 64)); }
  [[nodiscard]] bool marked(std::size_t slot) const noexcept {
    return (occupied_[slot / 64] >> (slot % 64)) & 1;
  }

  std::int64_t next_tick_;
  std::size_t size_ = 0;
  std::array<std::uint64_t, kSlots / 64> occupied_{};
  std::vector<Node> slots_;
  Node due_;
};

}  // namespace sallyport::base
