#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace sallyport::server {

/// One encoded frame, or the rest of several, immutable. A publication's is shared by all its receivers,
/// on all workers, which is why its count is atomic.
using Frame = std::shared_ptr<const std::string>;

/// What waits to be delivered to a channel's members.
struct Publication {
  std::string channel;
  Frame frame;
  std::uint64_t number = 0;  ///< counts what is published in this process, `History`
  /// What it counts for where the bytes that wait are limited.
  [[nodiscard]] std::size_t bytes() const noexcept { return sizeof *this + channel.size() + frame->size(); }
};

}  // namespace sallyport::server
