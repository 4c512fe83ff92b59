#include "core/ws/encoder.h"

#include "core/ws/mask.h"

namespace sallyport::ws {

std::size_t write_frame(std::span<char> out, const FrameStart& start,
                        std::string_view payload) noexcept {
  // What a server mostly sends, without the way through a header of its own.
  if (payload.size() < 126 && !start.mask) {
    if (out.size() < 2 + payload.size()) return 0;
    out[0] = first_byte(start);
    out[1] = static_cast<char>(payload.size());
    if (!payload.empty()) std::memcpy(out.data() + 2, payload.data(), payload.size());
    return 2 + payload.size();
  }
  const FrameHeader header = encode_header(start, payload.size());
  if (out.size() < header.size || out.size() - header.size < payload.size()) return 0;
  std::memcpy(out.data(), header.bytes.data(), header.size);
  const std::span<char> body = out.subspan(header.size, payload.size());
  if (!payload.empty()) std::memcpy(body.data(), payload.data(), payload.size());
  if (start.mask) apply_mask(body, *start.mask);
  return header.size + payload.size();
}

void append_frame(std::string& out, const FrameStart& start, std::string_view payload) {
  const FrameHeader header = encode_header(start, payload.size());
  out.append(header.view());
  const std::size_t body = out.size();
  out.append(payload);
  if (start.mask) apply_mask(std::span(out).subspan(body), *start.mask);
}

}  // namespace sallyport::ws
