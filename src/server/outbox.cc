#include "server/outbox.h"

#include <algorithm>
#include <array>
#include <utility>

namespace sallyport::server {

void Outbox::push(Frame frame) {
  if (queue_ == nullptr) queue_ = std::make_unique<Queue>();
  bytes_ += frame->size();
  queue_->frames.push_back(std::move(frame));
}

void Outbox::push_rest(std::string_view rest) {
  const bool first = empty();
  push(std::make_shared<const std::string>(rest));
  if (first) queue_->started = 1;
}

std::size_t Outbox::drop_oldest(std::size_t limit, std::size_t committed) {
  if (queue_ == nullptr) return 0;
  std::vector<Frame>& frames = queue_->frames;
  std::size_t dropped = 0;
  std::size_t keep = queue_->first + queue_->started;
  std::size_t kept = 0;
  for (std::size_t i = queue_->first; i < keep; ++i) kept += frames[i]->size();
  kept -= std::min(kept, queue_->offset);
  for (; kept < committed && keep < frames.size(); ++keep) kept += frames[keep]->size();
  std::size_t end = keep;
  while (bytes_ > limit && end < frames.size()) {
    bytes_ -= frames[end]->size();
    ++end;
    ++dropped;
  }
  frames.erase(frames.begin() + static_cast<std::ptrdiff_t>(keep),
               frames.begin() + static_cast<std::ptrdiff_t>(end));
  if (empty()) clear();
  return dropped;
}

io::IoStatus Outbox::flush(io::Stream& stream) {
  constexpr std::size_t kParts = 64;
  while (!empty()) {
    std::array<std::string_view, kParts> parts;
    const std::size_t count = std::min(kParts, queue_->frames.size() - queue_->first);
    for (std::size_t i = 0; i < count; ++i) parts[i] = *queue_->frames[queue_->first + i];
    parts[0].remove_prefix(queue_->offset);
    const io::IoResult result = stream.write(std::span(parts).first(count));
    if (result.status != io::IoStatus::kOk) return result.status;
    consume(result.bytes);
  }
  return io::IoStatus::kOk;
}

void Outbox::consume(std::size_t size) {
  bytes_ -= size;
  if (bytes_ == 0) return clear();
  Queue& q = *queue_;
  while (size > 0) {
    const std::size_t left = q.frames[q.first]->size() - q.offset;
    if (size < left) {
      q.offset += size;
      q.started = 1;
      return;
    }
    size -= left;
    q.frames[q.first].reset();
    ++q.first;
    q.offset = 0;
    q.started = 0;
  }
  // Written frames are forgotten in bulk, so that a long queue is not moved for every one of them.
  if (q.first >= 64 && q.first * 2 >= q.frames.size()) {
    q.frames.erase(q.frames.begin(), q.frames.begin() + static_cast<std::ptrdiff_t>(q.first));
    q.first = 0;
  }
}

void Outbox::clear() noexcept {
  queue_.reset();
  bytes_ = 0;
}

}  // namespace sallyport::server
