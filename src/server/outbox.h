#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "io/stream.h"

namespace sallyport::server {

/// One encoded frame, or the rest of several, immutable. A publication's is shared by all its receivers,
/// on all workers, which is why its count is atomic.
using Frame = std::shared_ptr<const std::string>;

/// What waits for a peer that reads more slowly than we write. Owns no memory while empty. Belongs to its
/// connection's thread.
class Outbox {
 public:
  [[nodiscard]] bool empty() const noexcept { return bytes_ == 0; }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

  void push(Frame frame);
  /// Copies `rest`, which is never dropped by `drop_oldest`: its beginning is on the wire already.
  void push_rest(std::string_view rest);

  /// Drops whole frames, the oldest first, until at most `limit` bytes wait. The frame whose beginning has
  /// been written stays, and so do those that reach into the next `committed` bytes (Stream::committed).
  /// Returns how many were dropped.
  std::size_t drop_oldest(std::size_t limit, std::size_t committed);

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
  };
  std::unique_ptr<Queue> queue_;  // while something waits
  std::size_t bytes_ = 0;
};

}  // namespace sallyport::server
