#include "server/outbox.h"

#include <algorithm>
#include <array>
#include <utility>

namespace sallyport::server {

void Outbox::push(Frame frame) {
  bytes_ += frame->size();
  frames_.push_back(std::move(frame));
}

void Outbox::push_rest(std::string_view rest) {
  if (empty()) started_ = 1;
  push(std::make_shared<const std::string>(rest));
}

std::size_t Outbox::drop_oldest(std::size_t limit) {
  std::size_t dropped = 0;
  const std::size_t keep = first_ + started_;
  std::size_t end = keep;
  while (bytes_ > limit && end < frames_.size()) {
    bytes_ -= frames_[end]->size();
    ++end;
    ++dropped;
  }
  frames_.erase(frames_.begin() + static_cast<std::ptrdiff_t>(keep),
                frames_.begin() + static_cast<std::ptrdiff_t>(end));
  if (empty()) clear();
  return dropped;
}

io::IoStatus Outbox::flush(io::Stream& stream) {
  constexpr std::size_t kParts = 64;
  while (!empty()) {
    std::array<std::string_view, kParts> parts;
    const std::size_t count = std::min(kParts, frames_.size() - first_);
    for (std::size_t i = 0; i < count; ++i) parts[i] = *frames_[first_ + i];
    parts[0].remove_prefix(offset_);
    const io::IoResult result = stream.write(std::span(parts).first(count));
    if (result.status != io::IoStatus::kOk) return result.status;
    consume(result.bytes);
  }
  return io::IoStatus::kOk;
}

void Outbox::consume(std::size_t size) {
  bytes_ -= size;
  if (bytes_ == 0) return clear();
  while (size > 0) {
    const std::size_t left = frames_[first_]->size() - offset_;
    if (size < left) {
      offset_ += static_cast<std::uint32_t>(size);
      started_ = 1;
      return;
    }
    size -= left;
    frames_[first_].reset();
    ++first_;
    offset_ = 0;
    started_ = 0;
  }
  // Written frames are forgotten in bulk, so that a long queue is not moved for every one of them.
  if (first_ >= 64 && first_ * 2 >= frames_.size()) {
    frames_.erase(frames_.begin(), frames_.begin() + first_);
    first_ = 0;
  }
}

void Outbox::clear() noexcept {
  std::vector<Frame>().swap(frames_);
  first_ = offset_ = started_ = 0;
  bytes_ = 0;
}

}  // namespace sallyport::server
