#pragma once

#include <cstddef>
#include <memory>
#include <string_view>
#include <vector>

#include "io/stream.h"
#include "server/publication.h"

namespace sallyport::server {

/// What waits for a peer that reads more slowly than we write. Owns no memory while empty. Belongs to its
/// connection's thread.
class Outbox {
 public:
  [[nodiscard]] bool empty() const noexcept { return bytes_ == 0; }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

  void push(Frame frame);
  /// Copies `rest`. Nothing drops its first `begun` bytes if nothing waits before them: the frame that they end
  /// has begun on the wire already. What follows them is whole frames, which are dropped together or not at all.
  void push_rest(std::string_view rest, std::size_t begun = std::string_view::npos);

  /// Drops whole frames, the oldest first, until at most `limit` bytes wait. The frame whose beginning has
  /// been written stays, and so do those that reach into the next `committed` bytes (Stream::committed).
  /// Returns how many were dropped.
  std::size_t drop_oldest(std::size_t limit, std::size_t committed);

  /// Drops every frame that has not begun on the wire and does not reach into the next `committed` bytes.
  void drop_unbegun(std::size_t committed);

  /// Writes what the stream takes. kOk: everything is written.
  [[nodiscard]] io::IoStatus flush(io::Stream& stream);

  void clear() noexcept;

 private:
  void consume(std::size_t size);

  struct Queue {
    std::vector<Frame> frames;
    std::size_t first = 0;    // frames before it are written
    std::size_t offset = 0;   // of the first frame, that much is written
    std::size_t started = 0;  // 1: the first frame may not be dropped
    bool torn = false;        // the first frame has no beginning: that is on the wire
  };
  std::unique_ptr<Queue> queue_;  // while something waits
  std::size_t bytes_ = 0;
};

/// The end of the frame, or of the HTTP head before it, that the byte before `position` belongs to. `bytes` are a
/// server's: such a head if any, then whole frames. A head ends after position 0 already: it is never cut off.
[[nodiscard]] std::size_t unit_end(std::string_view bytes, std::size_t position) noexcept;

}  // namespace sallyport::server
