#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sallyport::bench {

enum class Mode { kEcho, kUpgrade, kIdle };

/// What one run of the load generator does; every field has its --option in options.cc.
struct Options {
  Mode mode = Mode::kEcho;
  std::uint16_t port = 0;
  std::string path = "/";
  bool tls = false;
  int server_pid = 0;  // whose processor time is reported; 0: nobody's
  int core = -1;       // where this process is pinned; negative: nowhere

  std::uint32_t connections = 64;  // echo and idle: how many; upgrade: how many at a time
  std::uint64_t count = 100'000;   // echo: messages measured; upgrade: handshakes measured
  std::uint64_t warmup = 0;        // the same, before the clocks are read
  std::uint32_t payload_bytes = 20;
  bool binary = false;
  bool touch = false;  // idle: every connection echoes one message before it falls silent

  std::vector<std::string> tokens;  // used in turn, one for each handshake; empty: no credential
};

/// Reads the command line. Throws std::runtime_error that says what is wrong with it.
[[nodiscard]] Options parse_options(int argc, char** argv);

}  // namespace sallyport::bench
