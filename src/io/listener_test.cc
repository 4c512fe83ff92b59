#include "io/listener.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <thread>
#include <vector>

#include "io/test_cpu_time.h"
#include "io/test_descriptors.h"

namespace sallyport::io {
namespace {

using namespace std::chrono_literals;

const Endpoint& loopback() {
  static const Endpoint endpoint = *parse_endpoint("127.0.0.1:0");
  return endpoint;
}

int client_socket() { return ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); }

bool connect_to(int fd, const Endpoint& endpoint) {
  return ::connect(fd, reinterpret_cast<const sockaddr*>(&endpoint.storage), endpoint.size) == 0;
}

// A loop with one listener on a thread of its own, which keeps what it accepts.
class Acceptor final : public TurnHooks, public Listener::Sink {
 public:
  explicit Acceptor(ListeningSocket socket)
      : endpoint(socket.endpoint()), loop(*this), listener(loop, std::move(socket), *this) {
    thread_ = std::thread([this] {
      loop.run();
      cpu = test::thread_cpu_time();
    });
  }
  ~Acceptor() {
    stop();
    for (const int fd : accepted_) ::close(fd);
  }
  void stop() {
    if (!thread_.joinable()) return;
    loop.stop();
    thread_.join();
  }
  [[nodiscard]] std::size_t accepted() const {
    const std::lock_guard lock(mutex_);
    return accepted_.size();
  }
  [[nodiscard]] bool wait_for(std::size_t count) const {
    for (int i = 0; i < 2000 && accepted() < count; ++i) std::this_thread::sleep_for(1ms);
    return accepted() == count;
  }

  void on_accept(int fd, const Endpoint& peer) override {
    const std::lock_guard lock(mutex_);
    accepted_.push_back(fd);
    peers.push_back(peer.text());
  }
  bool on_descriptors_exhausted() override {
    ++exhausted;
    const std::lock_guard lock(mutex_);
    if (!give_way || accepted_.empty()) return false;
    ::close(accepted_.back());
    accepted_.pop_back();
    return true;
  }
  void on_timer(base::TimerWheel::Node& node) override { EXPECT_TRUE(listener.on_timer(node)); }
  bool on_turn_end() override { return false; }
  void on_clock_step() override {}

  const Endpoint endpoint;
  Loop loop;
  Listener listener;
  std::vector<std::string> peers;
  std::atomic<int> exhausted = 0;
  bool give_way = false;
  std::chrono::nanoseconds cpu{};

 private:
  mutable std::mutex mutex_;
  std::vector<int> accepted_;
  std::thread thread_;
};

TEST(Listener, AcceptsEveryConnectionAndTellsThePeersAddress) {
  constexpr std::size_t kClients = 200;  // more than it takes in one turn
  Acceptor acceptor(*ListeningSocket::open(loopback()));
  ASSERT_NE(acceptor.endpoint.port(), 0);
  std::vector<int> clients;
  for (std::size_t i = 0; i < kClients; ++i) {
    clients.push_back(client_socket());
    ASSERT_TRUE(connect_to(clients.back(), acceptor.endpoint));
  }
  EXPECT_TRUE(acceptor.wait_for(kClients));
  acceptor.stop();
  for (const std::string& peer : acceptor.peers) {
    EXPECT_TRUE(peer.starts_with("127.0.0.1:")) << peer;
    EXPECT_NE(peer, acceptor.endpoint.text());
  }
  for (const int fd : clients) ::close(fd);
}

TEST(Listener, SharesAPortAmongWorkersButNotWithStrangers) {
  const auto first = ListeningSocket::open(loopback());
  ASSERT_TRUE(first.has_value()) << first.error();
  const auto second = ListeningSocket::open(first->endpoint());
  EXPECT_TRUE(second.has_value()) << second.error();
  const auto stranger = ListeningSocket::probe(first->endpoint());
  ASSERT_FALSE(stranger.has_value());
  EXPECT_NE(stranger.error().find(first->endpoint().text()), std::string::npos) << stranger.error();
}

TEST(Listener, ProbesAFreePortAndLeavesItFree) {
  const auto probed = ListeningSocket::probe(loopback());
  ASSERT_TRUE(probed.has_value()) << probed.error();
  EXPECT_NE(probed->port(), 0);
  EXPECT_TRUE(ListeningSocket::open(*probed).has_value());
}

TEST(Listener, SaysWhichAddressItCannotHave) {
  const auto socket = ListeningSocket::open(*parse_endpoint("203.0.113.1:0"));  // not ours (RFC 5737)
  ASSERT_FALSE(socket.has_value());
  EXPECT_TRUE(socket.error().starts_with("203.0.113.1:0: cannot listen there: ")) << socket.error();
}

// The connection waits in the backlog, which keeps the listener readable: it must neither spin nor give up.
TEST(Listener, OutlivesAShortageOfDescriptorsWithoutSpinning) {
  Acceptor acceptor(*ListeningSocket::open(loopback()));
  const int client = client_socket();
  {
    const test::DescriptorShortage shortage;
    ASSERT_TRUE(connect_to(client, acceptor.endpoint));
    std::this_thread::sleep_for(600ms);
    EXPECT_EQ(acceptor.accepted(), 0U);
    EXPECT_GE(acceptor.exhausted, 2);   // it looks again, every tenth of a second
    EXPECT_LE(acceptor.exhausted, 10);
  }
  EXPECT_TRUE(acceptor.wait_for(1));
  acceptor.stop();
  EXPECT_LT(acceptor.cpu, 100ms);
  ::close(client);
}

TEST(Listener, AcceptsAtOnceWhenTheSinkGivesADescriptorBack) {
  Acceptor acceptor(*ListeningSocket::open(loopback()));
  acceptor.give_way = true;
  const int first = client_socket();
  const int second = client_socket();
  {
    const test::DescriptorShortage shortage(1);
    ASSERT_TRUE(connect_to(first, acceptor.endpoint));
    ASSERT_TRUE(acceptor.wait_for(1));
    ASSERT_TRUE(connect_to(second, acceptor.endpoint));
    char end = 0;
    EXPECT_EQ(::recv(first, &end, 1, 0), 0);  // it made room
    EXPECT_TRUE(acceptor.wait_for(1));
  }
  acceptor.stop();
  EXPECT_EQ(acceptor.peers.size(), 2U);
  EXPECT_EQ(acceptor.exhausted, 1);
  ::close(first);
  ::close(second);
}

}  // namespace
}  // namespace sallyport::io
