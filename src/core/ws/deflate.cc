#include "core/ws/deflate.h"

#define ZLIB_CONST
#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <new>

#include "core/base/assert.h"

namespace sallyport::ws {
namespace {

// What a sender removes from the end of each message (RFC 7692 section 7.2.1).
constexpr std::string_view kTail("\x00\x00\xff\xff", 4);

// Kept between messages; more than this is given back.
constexpr std::size_t kKeptBytes = 64 * 1024;
constexpr std::size_t kFirstBytes = 4 * 1024;

// zlib counts in 32 bits.
constexpr std::size_t kPieceMax = std::numeric_limits<uInt>::max();

const Bytef* bytes_of(const char* text) noexcept {
  return reinterpret_cast<const Bytef*>(text);
}
Bytef* bytes_of(char* text) noexcept {
  return reinterpret_cast<Bytef*>(text);
}

}  // namespace

void Inflater::End::operator()(z_stream_s* stream) const noexcept {
  inflateEnd(stream);
  std::unique_ptr<z_stream_s> owner(stream);
}

Inflater::Inflater() {
  auto stream = std::make_unique<z_stream_s>();
  // The largest window understands all smaller ones. Negative: deflate without a zlib header.
  if (inflateInit2(stream.get(), -MAX_WBITS) != Z_OK) throw std::bad_alloc();
  stream_.reset(stream.release());
}

Inflater::~Inflater() = default;

std::expected<std::string_view, InflateError> Inflater::inflate(std::string_view compressed,
                                                                std::uint64_t bytes_max) {
  if (compressed.size() > kPieceMax) return std::unexpected(InflateError::kTooLarge);
  if (capacity_ > kKeptBytes) {
    output_.reset();
    capacity_ = 0;
  }
  used_ = 0;
  SALLYPORT_ASSERT(inflateReset(stream_.get()) == Z_OK);
  // One byte more than allowed tells "exactly full" from "too large".
  const std::uint64_t room = std::min<std::uint64_t>(bytes_max, kPieceMax - 1) + 1;
  for (const std::string_view part : {compressed, kTail}) {
    const auto fed = feed(part, static_cast<std::size_t>(room));
    if (!fed) return std::unexpected(fed.error());
  }
  // The tail must have ended a block; anywhere else the message was cut off. zlib tells by bit 7 of
  // data_type.
  if ((stream_->data_type & 128) == 0) return std::unexpected(InflateError::kCorrupt);
  return std::string_view(output_.get(), used_);
}

std::expected<void, InflateError> Inflater::feed(std::string_view input, std::size_t room_max) {
  stream_->next_in = bytes_of(input.data());
  stream_->avail_in = static_cast<uInt>(input.size());
  while (true) {
    if (used_ == capacity_) grow(room_max);
    const std::size_t room = std::min(capacity_, room_max) - used_;
    stream_->next_out = bytes_of(output_.get() + used_);
    stream_->avail_out = static_cast<uInt>(room);
    const int result = ::inflate(stream_.get(), Z_SYNC_FLUSH);
    used_ += room - stream_->avail_out;
    if (used_ >= room_max) return std::unexpected(InflateError::kTooLarge);
    if (result == Z_STREAM_END) {
      // A final block ends a stream, not the message (RFC 7692 section 7.2.3.4); what follows
      // begins a new one.
      SALLYPORT_ASSERT(inflateReset(stream_.get()) == Z_OK);
      if (stream_->avail_in == 0) return {};
      continue;
    }
    if (result != Z_OK && result != Z_BUF_ERROR) return std::unexpected(InflateError::kCorrupt);
    // Room left over means that zlib wants more input.
    if (stream_->avail_out != 0) return {};
  }
}

void Inflater::grow(std::size_t room_max) {
  const std::size_t wanted = std::max(kFirstBytes, 2 * capacity_);
  const std::size_t capacity = std::max(used_ + 1, std::min(room_max, wanted));
  auto larger = std::make_unique_for_overwrite<char[]>(capacity);
  if (used_ != 0) std::memcpy(larger.get(), output_.get(), used_);
  output_ = std::move(larger);
  capacity_ = capacity;
}

void Deflater::End::operator()(z_stream_s* stream) const noexcept {
  deflateEnd(stream);
  std::unique_ptr<z_stream_s> owner(stream);
}

Deflater::Deflater(int level) : level_(level) {}

Deflater::~Deflater() = default;

z_stream_s& Deflater::stream(int window_bits) {
  SALLYPORT_ASSERT(window_bits >= kWindowBitsMin);
  SALLYPORT_ASSERT(window_bits <= kWindowBitsMax);
  auto& slot = streams_[static_cast<std::size_t>(window_bits - kWindowBitsMin)];
  if (!slot) {
    // A hash of about the window's size; zlib's default is made for its largest window.
    const int memory_level = std::clamp(window_bits - 6, 3, 8);
    auto fresh = std::make_unique<z_stream_s>();
    if (deflateInit2(fresh.get(), level_, Z_DEFLATED, -window_bits, memory_level,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
      throw std::bad_alloc();
    }
    slot.reset(fresh.release());
  }
  return *slot;
}

std::optional<std::string_view> Deflater::deflate(std::string_view payload, int window_bits) {
  if (payload.empty() || payload.size() > kPieceMax - kTail.size()) return std::nullopt;
  if (capacity_ > kKeptBytes) capacity_ = 0;
  // All that may come out before the tail is cut off; the last byte must stay free, or zlib may
  // have more to say.
  const std::size_t room = payload.size() + kTail.size();
  if (capacity_ < room) {
    output_.reset();
    output_ = std::make_unique_for_overwrite<char[]>(room);
    capacity_ = room;
  }
  z_stream_s& zlib = stream(window_bits);
  SALLYPORT_ASSERT(deflateReset(&zlib) == Z_OK);
  zlib.next_in = bytes_of(payload.data());
  zlib.avail_in = static_cast<uInt>(payload.size());
  zlib.next_out = bytes_of(output_.get());
  zlib.avail_out = static_cast<uInt>(room);
  const int result = ::deflate(&zlib, Z_SYNC_FLUSH);
  if (result != Z_OK || zlib.avail_in != 0 || zlib.avail_out == 0) return std::nullopt;
  const std::string_view whole(output_.get(), room - zlib.avail_out);
  SALLYPORT_ASSERT(whole.ends_with(kTail));
  return whole.substr(0, whole.size() - kTail.size());
}

}  // namespace sallyport::ws
