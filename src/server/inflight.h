#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace sallyport::server {

/// Which publications have been queued for a peer and are not known to have reached it. Positions count the bytes of
/// a connection from its beginning. Owns memory only while there are such, and never more than a kilobyte: then
/// neighbours are taken together, so that what it answers may be earlier than the truth and never later.
class Inflight {
 public:
  static constexpr std::size_t kMost = 64;

  /// The publication `number`, higher than any before, has been queued and ends at `end`.
  void add(std::uint64_t end, std::uint64_t number);
  /// It has grown: time to find out how much has arrived.
  [[nodiscard]] bool due() const noexcept { return spans_.size() >= due_at_; }
  /// Everything up to this position has arrived.
  void arrived(std::uint64_t position);
  /// What ends beyond this position will never be written.
  void cut(std::uint64_t position);
  /// Something of what was queued has been dropped; all that is left ends at `end` or before.
  void blur(std::uint64_t end);
  /// The first publication that is not known to have arrived.
  [[nodiscard]] std::optional<std::uint64_t> first() const noexcept;
  [[nodiscard]] bool empty() const noexcept { return spans_.empty() && !unwritten_; }

 private:
  static constexpr std::size_t kDueAt = 8;
  struct Span {
    std::uint64_t end;     // of the last publication in it
    std::uint64_t number;  // of the first one
  };
  std::vector<Span> spans_;  // in order
  std::optional<std::uint64_t> unwritten_;
  std::size_t due_at_ = kDueAt;
};

}  // namespace sallyport::server
