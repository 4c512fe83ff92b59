#include "server/outbox.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>

namespace sallyport::server {

void Outbox::push(Frame frame) {
  if (queue_ == nullptr) queue_ = std::make_unique<Queue>();
  bytes_ += frame->size();
  queue_->frames.push_back(std::move(frame));
}

void Outbox::push_rest(std::string_view rest, std::size_t begun) {
  if (empty() && begun > 0) {
    const std::string_view torn = rest.substr(0, begun);
    push(std::make_shared<const std::string>(torn));
    queue_->started = 1;
    queue_->torn = true;
    rest.remove_prefix(torn.size());
  }
  if (!rest.empty()) push(std::make_shared<const std::string>(rest));
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

void Outbox::drop_unbegun(std::size_t committed) {
  if (queue_ == nullptr) return;
  Queue& q = *queue_;
  std::size_t begun = q.offset + committed;  // counted from the first frame's beginning
  bytes_ = 0;
  std::size_t keep = q.first;
  for (; keep < q.frames.size(); ++keep) {
    Frame& frame = q.frames[keep];
    const bool torn = keep == q.first && q.torn;
    if (begun == 0 && !torn) break;
    const std::size_t end = torn ? frame->size() : unit_end(*frame, std::min(begun, frame->size()));
    if (end < frame->size()) frame = std::make_shared<const std::string>(frame->substr(0, end));
    bytes_ += end;
    begun -= std::min(begun, end);
  }
  q.frames.erase(q.frames.begin() + static_cast<std::ptrdiff_t>(keep), q.frames.end());
  bytes_ -= std::min(bytes_, q.offset);
  if (empty()) clear();
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
    q.torn = false;
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

std::size_t unit_end(std::string_view bytes, std::size_t position) noexcept {
  std::size_t end = 0;
  if (bytes.starts_with("HTTP/")) {
    const std::size_t head = bytes.find("\r\n\r\n");
    end = head == std::string_view::npos ? bytes.size() : head + 4;
  }
  while (end < position) {
    // A header of our own making (RFC 6455 section 5.2): no mask, the shortest length.
    const auto byte = [&](std::size_t i) {
      return end + i < bytes.size() ? std::uint64_t{static_cast<unsigned char>(bytes[end + i])} : 0U;
    };
    std::uint64_t size = byte(1);
    const std::size_t length_bytes = size < 126 ? 0 : size == 126 ? 2 : 8;
    if (length_bytes != 0) size = 0;
    for (std::size_t i = 0; i < length_bytes; ++i) size = size << 8 | byte(2 + i);
    if (size >= bytes.size() - end) return bytes.size();
    end = std::min(bytes.size(), end + 2 + length_bytes + size);
  }
  return end;
}

}  // namespace sallyport::server
