// A crowd of authenticated sockets on one thread: what revoking, expiring and coming back cost with very many of them.
//
//   bench_crowd revoke    --port P --admin-port A --admin-token-file F --secret-file S --connections N --same K
//   bench_crowd storm     --port P --secret-file S --connections N --jitter-ms J [--new-tokens] [--server-pid PID]
//   bench_crowd deadlines --port P --secret-file S --connections N --from-s A --to-s B [--server-pid PID]
//
// It mints its own HS256 tokens, speaks as much of RFC 6455 as it needs, and shares nothing with what it measures. The
// runner is bench/crowd.mjs.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <queue>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

struct Options {
  std::string mode;
  std::uint16_t port = 0;
  std::uint16_t admin_port = 0;
  std::string admin_token;
  std::string secret;
  std::size_t connections = 1000;
  std::size_t same = 0;
  std::int64_t jitter_ms = 10'000;
  std::int64_t from_s = 20;
  std::int64_t to_s = 60;
  bool new_tokens = false;
  pid_t server_pid = 0;
};

std::string read_text(const char* path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error(std::string(path) + ": cannot be read");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

Options parse(int argc, char** argv) {
  Options options;
  if (argc < 2) throw std::runtime_error("say revoke, storm or deadlines");
  options.mode = argv[1];
  for (int i = 2; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--new-tokens") {
      options.new_tokens = true;
      continue;
    }
    if (i + 1 == argc) throw std::runtime_error(std::string(name) + " needs a value");
    const char* const value = argv[++i];
    const long number = std::strtol(value, nullptr, 10);
    if (name == "--port") options.port = static_cast<std::uint16_t>(number);
    else if (name == "--admin-port") options.admin_port = static_cast<std::uint16_t>(number);
    else if (name == "--admin-token-file") options.admin_token = read_text(value);
    else if (name == "--secret-file") options.secret = read_text(value);
    else if (name == "--connections") options.connections = static_cast<std::size_t>(number);
    else if (name == "--same") options.same = static_cast<std::size_t>(number);
    else if (name == "--jitter-ms") options.jitter_ms = number;
    else if (name == "--from-s") options.from_s = number;
    else if (name == "--to-s") options.to_s = number;
    else if (name == "--server-pid") options.server_pid = static_cast<pid_t>(number);
    else throw std::runtime_error("unknown option " + std::string(name));
  }
  return options;
}

// ---- Tokens

std::string base64url(std::string_view bytes) {
  static constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string text;
  std::uint32_t held = 0;
  int bits = 0;
  for (const char c : bytes) {
    held = held << 8 | static_cast<unsigned char>(c);
    for (bits += 8; bits >= 6; bits -= 6) text += kAlphabet[held >> (bits - 6) & 63];
  }
  if (bits > 0) text += kAlphabet[held << (6 - bits) & 63];
  return text;
}

std::string mint(const Options& options, const std::string& subject, std::int64_t life_s, std::uint64_t serial) {
  const std::int64_t now = std::chrono::duration_cast<std::chrono::seconds>(
                               std::chrono::system_clock::now().time_since_epoch())
                               .count();
  const std::string claims = R"({"iss":"https://id.example.test/","aud":"chat","sub":")" + subject + R"(","jti":")" +
                             std::to_string(serial) + R"(","iat":)" + std::to_string(now) + R"(,"exp":)" +
                             std::to_string(now + life_s) + "}";
  std::string text = base64url(R"({"alg":"HS256","typ":"JWT"})") + "." + base64url(claims);
  std::array<unsigned char, 32> mac;
  unsigned size = 0;
  HMAC(EVP_sha256(), options.secret.data(), static_cast<int>(options.secret.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), mac.data(), &size);
  return text + "." + base64url({reinterpret_cast<const char*>(mac.data()), size});
}

// ---- The crowd

struct Peer {
  int fd = -1;
  bool open = false;         // the 101 has come
  bool same = false;         // one of those who share a subject
  std::string token;
  std::string head;          // of the answer, until it is complete
  Clock::time_point sent{};  // the echo under way
  Clock::time_point due{};   // when it comes back, in a storm
  int refused = 0;
};

double ms(Clock::duration time) { return std::chrono::duration<double, std::milli>(time).count(); }

double quantile(std::vector<double>& values, double q) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1, static_cast<std::size_t>(q * static_cast<double>(values.size())))];
}

double server_cpu_ms(pid_t pid) {
  clockid_t clock{};
  timespec time{};
  if (pid == 0 || ::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &time) != 0) return 0;
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6;
}

class Crowd {
 public:
  explicit Crowd(const Options& options) : options_(options), peers_(options.connections) {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    poll_ = ::epoll_create1(0);
    for (std::size_t i = 0; i < peers_.size(); ++i) {
      peers_[i].same = i < options_.same;
      peers_[i].token = mint(options_, peers_[i].same ? "many" : "u" + std::to_string(i), life(), ++serial_);
    }
  }

  void open_all() {
    const auto began = Clock::now();
    std::size_t next = 0;
    while (open_ < peers_.size()) {
      while (next < peers_.size() && under_way_ < 256) connect(next++);
      turn(100);
      if (!refused_.empty()) throw std::runtime_error("a handshake was refused: " + refused_);
    }
    std::printf("open: %zu sockets in %.1f s\n", open_, ms(Clock::now() - began) / 1000);
    std::fflush(stdout);
  }

  void revoke();
  void storm();
  void deadlines();

 private:
  [[nodiscard]] std::int64_t life() {
    if (options_.mode != "deadlines") return 3600;
    return options_.from_s + static_cast<std::int64_t>(random_() % static_cast<std::uint64_t>(
                                                           options_.to_s - options_.from_s + 1));
  }

  void connect(std::size_t index) {
    Peer& peer = peers_[index];
    peer.fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (peer.fd < 0) throw std::runtime_error(std::string("socket: ") + std::strerror(errno));
    sockaddr_in to{};
    to.sin_family = AF_INET;
    sockaddr_in from = to;
    // An address has some 28,000 ports.
    from.sin_addr.s_addr = htonl(0x7f000002U + static_cast<std::uint32_t>(index / 20'000));
    const int on = 1;
    ::setsockopt(peer.fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    ::setsockopt(peer.fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (::bind(peer.fd, reinterpret_cast<sockaddr*>(&from), sizeof from) != 0) throw std::runtime_error("bind");
    to.sin_port = htons(options_.port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(peer.fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0 && errno != EINPROGRESS) {
      throw std::runtime_error(std::string("connect: ") + std::strerror(errno));
    }
    peer.head.clear();
    epoll_event event{.events = EPOLLOUT, .data = {.u64 = index}};
    ::epoll_ctl(poll_, EPOLL_CTL_ADD, peer.fd, &event);
    ++under_way_;
  }

  void request(std::size_t index) {
    Peer& peer = peers_[index];
    const std::string text = "GET /echo HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                             "Authorization: Bearer " + peer.token + "\r\n\r\n";
    if (::send(peer.fd, text.data(), text.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(text.size())) {
      throw std::runtime_error("a request was not taken whole");
    }
    epoll_event event{.events = EPOLLIN, .data = {.u64 = index}};
    ::epoll_ctl(poll_, EPOLL_CTL_MOD, peer.fd, &event);
  }

  void close(std::size_t index) {
    Peer& peer = peers_[index];
    if (peer.fd < 0) return;
    ::close(std::exchange(peer.fd, -1));
    if (peer.open) --open_; else --under_way_;
    peer.open = false;
    peer.sent = {};
  }

  // One wait and what it brings. True if something came.
  bool turn(int patience_ms) {
    std::array<epoll_event, 512> events;
    const int count = ::epoll_wait(poll_, events.data(), static_cast<int>(events.size()), patience_ms);
    now_ = Clock::now();
    for (int i = 0; i < count; ++i) {
      const std::size_t index = events[static_cast<std::size_t>(i)].data.u64;
      if (index == kAdmin) {
        read_admin();
      } else if (peers_[index].fd >= 0) {
        if ((events[static_cast<std::size_t>(i)].events & EPOLLOUT) != 0) request(index);
        else read(index);
      }
    }
    return count > 0;
  }

  void read(std::size_t index) {
    Peer& peer = peers_[index];
    std::array<char, 4096> buffer;
    const ssize_t size = ::recv(peer.fd, buffer.data(), buffer.size(), 0);
    if (size <= 0) {
      if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
      ++(peer.open ? lost_ : refused_count_);
      return close(index);
    }
    std::string_view data(buffer.data(), static_cast<std::size_t>(size));
    if (!peer.open) {
      peer.head += data;
      const std::size_t end = peer.head.find("\r\n\r\n");
      if (end == std::string::npos) return;
      if (!peer.head.starts_with("HTTP/1.1 101")) {
        const std::string line = peer.head.substr(0, peer.head.find('\r'));
        if (options_.mode != "storm") refused_ = line;
        ++refused_count_;
        ++peer.refused;
        return close(index);
      }
      const std::string rest = peer.head.substr(end + 4);
      peer.head = {};
      peer.open = true;
      ++open_;
      --under_way_;
      if (rest.empty()) return;
      return frames(index, rest);
    }
    frames(index, data);
  }

  // Small frames from a server: each comes whole.
  void frames(std::size_t index, std::string_view data) {
    Peer& peer = peers_[index];
    while (data.size() >= 2) {
      const int opcode = data[0] & 15;
      const std::size_t size = static_cast<unsigned char>(data[1]) & 127U;
      if (data.size() < 2 + size) break;
      const std::string_view payload = data.substr(2, size);
      data.remove_prefix(2 + size);
      if (opcode == 8) {
        const unsigned code = payload.size() < 2 ? 1005U
                                                 : static_cast<unsigned char>(payload[0]) * 256U +
                                                       static_cast<unsigned char>(payload[1]);
        closes_.push_back({index, code, now_});
        return close(index);
      }
      if (opcode == 9) answer_ping(peer, payload);
      if (opcode == 1 && peer.sent != Clock::time_point{}) {
        echoes_.push_back(ms(now_ - peer.sent));
        peer.sent = {};
      }
    }
  }

  static void send_frame(const Peer& peer, int opcode, std::string_view payload) {
    std::string frame{static_cast<char>(128 | opcode), static_cast<char>(128 | payload.size())};
    frame.append(4, '\0');  // a mask of zeros is one too
    frame += payload;
    (void)::send(peer.fd, frame.data(), frame.size(), MSG_NOSIGNAL);
  }
  static void answer_ping(const Peer& peer, std::string_view payload) { send_frame(peer, 10, payload); }

  // A hundred of those who are not meant ask now and then; how long an answer takes.
  void probe() {
    for (std::size_t k = 0; k < 100 && k < peers_.size(); ++k) {
      Peer& peer = peers_[peers_.size() - 1 - k * (peers_.size() - options_.same) / 101];
      if (!peer.open || peer.same || peer.sent != Clock::time_point{}) continue;
      peer.sent = Clock::now();
      send_frame(peer, 1, "hello");
    }
  }
  void probe_for(milliseconds time) {
    const auto end = Clock::now() + time;
    auto next = Clock::now();
    while (Clock::now() < end) {
      if (Clock::now() >= next) {
        probe();
        next = Clock::now() + milliseconds(20);
      }
      turn(1);
    }
  }

  // ---- The admin API: one request, one answer
  void ask_admin(const std::string& body) {
    admin_fd_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(options_.admin_port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(admin_fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) throw std::runtime_error("no admin API");
    const std::string text = "POST /v1/revocations HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer " +
                             options_.admin_token + "\r\nContent-Type: application/json\r\nConnection: close\r\n"
                             "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    admin_answer_.clear();
    admin_answered_ = {};
    epoll_event event{.events = EPOLLIN, .data = {.u64 = kAdmin}};
    ::epoll_ctl(poll_, EPOLL_CTL_ADD, admin_fd_, &event);
    asked_ = Clock::now();
    (void)::send(admin_fd_, text.data(), text.size(), MSG_NOSIGNAL);
  }
  void read_admin() {
    std::array<char, 4096> buffer;
    const ssize_t size = ::recv(admin_fd_, buffer.data(), buffer.size(), 0);
    if (size <= 0) {
      ::close(std::exchange(admin_fd_, -1));
      return;
    }
    if (admin_answer_.empty()) admin_answered_ = now_;
    admin_answer_.append(buffer.data(), static_cast<std::size_t>(size));
  }
  void report_revocation(const char* what, std::size_t expected) {
    const auto patience = Clock::now() + std::chrono::seconds(60);
    auto next_probe = Clock::now();
    while ((closes_.size() < expected || admin_fd_ >= 0) && Clock::now() < patience) {
      if (Clock::now() >= next_probe) {
        probe();
        next_probe = Clock::now() + milliseconds(20);
      }
      turn(1);
    }
    std::vector<double> after;
    std::size_t wrong = 0;
    for (const auto& [index, code, at] : closes_) {
      after.push_back(ms(at - asked_));
      if (code != 3000) ++wrong;
    }
    const double longest = after.empty() ? 0 : *std::max_element(after.begin(), after.end());
    std::printf("%s: %zu Close frames of %zu (%zu with another code than 3000), from the call: p50 %.1f ms, p99 %.1f ms, "
                "last %.1f ms; the answer after %.1f ms: %s\n",
                what, closes_.size(), expected, wrong, quantile(after, 0.5), quantile(after, 0.99), longest,
                ms(admin_answered_ - asked_), admin_answer_.substr(admin_answer_.find("\r\n\r\n") + 4).c_str());
  }

  static constexpr std::uint64_t kAdmin = ~0ULL;
  struct Ended {
    std::size_t index;
    unsigned code;
    Clock::time_point at;
  };

  const Options& options_;
  std::vector<Peer> peers_;
  int poll_ = -1;
  int admin_fd_ = -1;
  std::string admin_answer_;
  std::string refused_;
  Clock::time_point asked_{};
  Clock::time_point admin_answered_{};
  Clock::time_point now_{};
  std::size_t open_ = 0;
  std::size_t under_way_ = 0;
  std::size_t lost_ = 0;
  std::size_t refused_count_ = 0;
  std::uint64_t serial_ = 0;
  std::vector<Ended> closes_;
  std::vector<double> echoes_;
  std::mt19937_64 random_{20'261'124};
};

void Crowd::revoke() {
  open_all();
  probe_for(milliseconds(3000));
  std::printf("before: echo of 100 others p50 %.2f ms, p99 %.2f ms\n", quantile(echoes_, 0.5), quantile(echoes_, 0.99));
  echoes_.clear();
  ask_admin(R"({"subject":"many"})");
  report_revocation("one subject", options_.same);
  std::size_t others = 0;
  for (const Ended& ended : closes_) others += peers_[ended.index].same ? 0U : 1U;
  probe_for(milliseconds(500));
  std::printf("meanwhile: echo of 100 others p50 %.2f ms, p99 %.2f ms; %zu others ended, %zu lost, %zu open\n",
              quantile(echoes_, 0.5), quantile(echoes_, 0.99), others, lost_, open_);
  closes_.clear();
  const std::size_t rest = open_;
  ask_admin(R"({"issued_before":4000000000})");
  report_revocation("everybody", rest);
  std::printf("left: %zu open, %zu lost\n", open_, lost_);
}

void Crowd::storm() {
  open_all();
  const double before = server_cpu_ms(options_.server_pid);
  for (std::size_t i = 0; i < peers_.size(); ++i) {
    const linger reset{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(peers_[i].fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(i);
    if (options_.new_tokens) peers_[i].token = mint(options_, "u" + std::to_string(i), 3600, ++serial_);
  }
  const auto began = Clock::now();
  using Due = std::pair<Clock::time_point, std::size_t>;
  std::priority_queue<Due, std::vector<Due>, std::greater<>> due;
  const auto jitter = [&] { return milliseconds(random_() % static_cast<std::uint64_t>(options_.jitter_ms)); };
  std::vector<int> seen(peers_.size(), 0);
  for (std::size_t i = 0; i < peers_.size(); ++i) due.emplace(began + jitter(), i);
  std::size_t attempts = 0;
  while (open_ < peers_.size() && Clock::now() - began < std::chrono::minutes(5)) {
    while (!due.empty() && due.top().first <= Clock::now() && under_way_ < 2000) {
      connect(due.top().second);
      due.pop();
      ++attempts;
    }
    turn(1);
    for (std::size_t i = 0; refused_count_ > 0 && i < peers_.size(); ++i) {
      if (peers_[i].fd >= 0 || peers_[i].refused == seen[i]) continue;
      seen[i] = peers_[i].refused;
      due.emplace(Clock::now() + milliseconds(1000) + jitter(), i);
      --refused_count_;
    }
  }
  const double cpu = server_cpu_ms(options_.server_pid) - before;
  std::printf("storm with %s tokens: %zu of %zu back after %.1f s (jitter %.1f s), %zu attempts, %zu refused for a while; "
              "server CPU %.0f us per reconnect\n",
              options_.new_tokens ? "new" : "known", open_, peers_.size(), ms(Clock::now() - began) / 1000,
              static_cast<double>(options_.jitter_ms) / 1000, attempts, attempts - open_,
              cpu * 1000 / static_cast<double>(peers_.size()));
}

void Crowd::deadlines() {
  open_all();
  const double before = server_cpu_ms(options_.server_pid);
  const auto began = Clock::now();
  while (open_ > 0 && Clock::now() - began < std::chrono::seconds(options_.to_s + 30)) turn(100);
  const double cpu = server_cpu_ms(options_.server_pid) - before;
  std::size_t wrong = 0;
  for (const Ended& ended : closes_) wrong += ended.code == 3000 ? 0U : 1U;
  std::printf("deadlines: %zu Close frames, %zu with another code than 3000, %zu lost; server CPU %.0f ms in %.1f s\n",
              closes_.size(), wrong, lost_, cpu, ms(Clock::now() - began) / 1000);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    const Options options = parse(argc, argv);
    Crowd crowd(options);
    if (options.mode == "revoke") crowd.revoke();
    else if (options.mode == "storm") crowd.storm();
    else if (options.mode == "deadlines") crowd.deadlines();
    else throw std::runtime_error("unknown mode " + options.mode);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_crowd: %s\n", error.what());
    return 1;
  }
}
