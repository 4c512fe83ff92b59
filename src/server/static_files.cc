#include "server/static_files.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <stdexcept>
#include <utility>

#include "core/http/answer.h"
#include "server/keys.h"

namespace sallyport::server {
namespace fs = std::filesystem;
namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, 16> kTypes{{
    {".html", "text/html; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".mjs", "text/javascript; charset=utf-8"},
    {".json", "application/json"},
    {".map", "application/json"},
    {".txt", "text/plain; charset=utf-8"},
    {".md", "text/plain; charset=utf-8"},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".jpg", "image/jpeg"},
    {".webp", "image/webp"},
    {".ico", "image/x-icon"},
    {".woff2", "font/woff2"},
    {".wasm", "application/wasm"},
    {".webmanifest", "application/manifest+json"},
}};

Response not_found() {
  const http::Answer problem = http::problem(404, "not_found");
  return {.status = 404, .body = problem.body, .content_type = "application/problem+json"};
}

bool is_hidden(std::string_view rest) {
  return rest.starts_with('.') || rest.find("/.") != std::string_view::npos;
}

}  // namespace

std::string_view media_type(std::string_view name) noexcept {
  for (const auto& [ending, type] : kTypes) {
    if (name.ends_with(ending)) return type;
  }
  return "application/octet-stream";
}

Response page(std::string body, std::string_view name) {
  return {.body = std::move(body),
          .content_type = std::string(media_type(name)),
          .fields = {{"X-Content-Type-Options", "nosniff"}, {"Cache-Control", "no-cache"}}};
}

StaticFiles::StaticFiles(std::string folder) {
  std::error_code error;
  const fs::path path = fs::canonical(folder, error);
  if (error || !fs::is_directory(path)) {
    throw std::invalid_argument("\"" + folder + "\" is not a folder that can be read");
  }
  folder_ = path.string();
}

Response StaticFiles::serve(std::string_view rest) const {
  if (is_hidden(rest) || rest.find('\0') != std::string_view::npos) return not_found();
  std::error_code error;
  fs::path path = fs::path(folder_) / fs::path(rest).relative_path();
  if (fs::is_directory(path, error)) path /= "index.html";
  path = fs::canonical(path, error);  // resolves links: what counts is where the file really is
  if (error || !fs::is_regular_file(path, error)) return not_found();
  const fs::path folder(folder_);
  const auto [folder_end, rest_begin] =
      std::mismatch(folder.begin(), folder.end(), path.begin(), path.end());
  if (folder_end != folder.end()) return not_found();
  try {
    return page(read_file(path.string(), kFileBytesMax), path.string());
  } catch (const std::runtime_error&) {
    return not_found();
  }
}

}  // namespace sallyport::server
