#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "core/http/head.h"

// What several tests of this folder need to get a head in one line.

namespace sallyport::http {

/// The error, or nothing if `text` is exactly one complete head.
inline std::optional<HeadError> error_of(std::string_view text, HeadLimits limits = {}) {
  HeadReader reader(limits);
  const auto used = reader.feed(text);
  return used ? std::nullopt : std::optional(used.error());
}

/// The head in `text`; a head without method if it is not complete and valid.
inline Head head_of(std::string_view text) {
  HeadReader reader;
  const auto used = reader.feed(text);
  return used && *used ? reader.take() : Head();
}

/// A GET of `target` with a Host and the given field lines, each ended by CR LF.
inline std::string request(std::string_view target, std::string_view fields = {}) {
  std::string text = "GET ";
  text.append(target).append(" HTTP/1.1\r\nHost: chat.example.com\r\n");
  text.append(fields).append("\r\n");
  return text;
}

/// What Chromium sends.
inline std::string browser_upgrade() {
  return "GET /chat/blue?ticket=abc HTTP/1.1\r\n"
         "Host: chat.example.com\r\n"
         "Connection: Upgrade\r\n"
         "Pragma: no-cache\r\n"
         "Cache-Control: no-cache\r\n"
         "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
         "Chrome/140.0.0.0 Safari/537.36\r\n"
         "Upgrade: websocket\r\n"
         "Origin: https://chat.example.com\r\n"
         "Sec-WebSocket-Version: 13\r\n"
         "Accept-Encoding: gzip, deflate, br, zstd\r\n"
         "Accept-Language: en-GB,en;q=0.9\r\n"
         "Cookie: theme=dark; sid=s%3Aabcdefghijklmnopqrstuvwxyz.0123456789; lang=en\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
         "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
         "Sec-WebSocket-Protocol: chat, bearer.abc.def.ghi, sallyport.v1\r\n"
         "\r\n";
}

}  // namespace sallyport::http
