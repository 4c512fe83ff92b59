#include "bench/load/options.h"

#include <charconv>
#include <fstream>
#include <stdexcept>
#include <string_view>

namespace sallyport::bench {
namespace {

template <typename Number>
Number number(std::string_view option, std::string_view text) {
  Number value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) {
    throw std::runtime_error(std::string(option) + ": not a number in range: " + std::string(text));
  }
  return value;
}

std::vector<std::string> read_lines(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    if (!line.empty()) lines.push_back(std::move(line));
  }
  if (lines.empty()) throw std::runtime_error("no token in " + path);
  return lines;
}

Mode mode_of(std::string_view word) {
  if (word == "echo") return Mode::kEcho;
  if (word == "upgrade") return Mode::kUpgrade;
  if (word == "idle") return Mode::kIdle;
  throw std::runtime_error("unknown mode: " + std::string(word));
}

}  // namespace

Options parse_options(int argc, char** argv) {
  const std::vector<std::string_view> words(argv + 1, argv + argc);
  if (words.empty()) {
    throw std::runtime_error("usage: bench_load echo|upgrade|idle --port N [--option value]...");
  }
  Options options;
  options.mode = mode_of(words[0]);
  for (std::size_t i = 1; i < words.size(); ++i) {
    const std::string_view name = words[i];
    if (name == "--tls") {
      options.tls = true;
      continue;
    }
    if (name == "--binary") {
      options.binary = true;
      continue;
    }
    if (name == "--touch") {
      options.touch = true;
      continue;
    }
    if (++i == words.size()) throw std::runtime_error("no value for " + std::string(name));
    const std::string_view value = words[i];
    if (name == "--port") {
      options.port = number<std::uint16_t>(name, value);
    } else if (name == "--path") {
      options.path = value;
    } else if (name == "--server-pid") {
      options.server_pid = number<int>(name, value);
    } else if (name == "--core") {
      options.core = number<int>(name, value);
    } else if (name == "--connections") {
      options.connections = number<std::uint32_t>(name, value);
    } else if (name == "--count") {
      options.count = number<std::uint64_t>(name, value);
    } else if (name == "--warmup") {
      options.warmup = number<std::uint64_t>(name, value);
    } else if (name == "--payload") {
      options.payload_bytes = number<std::uint32_t>(name, value);
    } else if (name == "--tokens") {
      options.tokens = read_lines(std::string(value));
    } else {
      throw std::runtime_error("unknown option: " + std::string(name));
    }
  }
  if (options.port == 0) throw std::runtime_error("--port is required");
  if (options.connections == 0) throw std::runtime_error("--connections must not be 0");
  if (options.payload_bytes > 65'535) throw std::runtime_error("--payload: at most 65535");
  return options;
}

}  // namespace sallyport::bench
