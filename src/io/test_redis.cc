#include "io/test_redis.h"

#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <thread>
#include <utility>

namespace sallyport::io::test {
namespace {

constexpr const char* kProgram = "/usr/bin/redis-server";

struct FreeContext {
  void operator()(redisContext* context) const noexcept { redisFree(context); }
};
struct FreeReply {
  void operator()(redisReply* reply) const noexcept { freeReplyObject(reply); }
};

std::string run(redisContext& context, const std::vector<std::string>& command) {
  std::vector<const char*> words;
  std::vector<std::size_t> sizes;
  for (const std::string& word : command) {
    words.push_back(word.data());
    sizes.push_back(word.size());
  }
  const std::unique_ptr<redisReply, FreeReply> reply(static_cast<redisReply*>(
      redisCommandArgv(&context, static_cast<int>(words.size()), words.data(), sizes.data())));
  if (reply == nullptr) return "(gone)";
  switch (reply->type) {
    case REDIS_REPLY_NIL: return "(nil)";
    case REDIS_REPLY_INTEGER: return std::to_string(reply->integer);
    case REDIS_REPLY_ERROR: return "(error) " + std::string(reply->str, reply->len);
    case REDIS_REPLY_ARRAY: return "(array of " + std::to_string(reply->elements) + ")";
    default: return {reply->str, reply->len};
  }
}

// A port at which nobody listens at this moment.
std::uint16_t free_port() {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  const bool bound = ::bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
                     ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0;
  ::close(fd);
  return bound ? ntohs(address.sin_port) : std::uint16_t{0};
}

}  // namespace

bool RedisServer::installed() { return ::access(kProgram, X_OK) == 0; }

RedisServer::RedisServer(std::vector<std::string> arguments) : arguments_(std::move(arguments)) {
  // Another process may take the port between our look and the server's.
  for (int i = 0; i < 5; ++i) {
    port_ = free_port();
    if (start()) return;
    kill();
  }
}

RedisServer::~RedisServer() { kill(); }

bool RedisServer::start() {
  std::vector<std::string> words{kProgram,     "--port",   std::to_string(port_),
                                 "--bind",     "127.0.0.1", "--save",
                                 "",           "--appendonly", "no",
                                 "--dir",      "/tmp",     "--enable-debug-command",
                                 "local",      "--loglevel", "warning"};
  words.insert(words.end(), arguments_.begin(), arguments_.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  pid_ = ::fork();
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int null = ::open("/dev/null", O_RDWR);
    for (const int fd : {0, 1, 2}) ::dup2(null, fd);
    ::execv(kProgram, argv.data());
    ::_exit(127);
  }
  for (int i = 0; i < 500; ++i) {
    const std::string pong = ask({"PING"});
    if (pong == "PONG" || pong.starts_with("(error) NOAUTH")) return true;
    if (::waitpid(pid_, nullptr, WNOHANG) == pid_) {
      pid_ = 0;
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

void RedisServer::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = 0;
}

void RedisServer::pause() const {
  ::kill(pid_, SIGSTOP);
  ::waitpid(pid_, nullptr, WUNTRACED);  // it stands only when it is told so
}

void RedisServer::go_on() const { ::kill(pid_, SIGCONT); }

std::string RedisServer::ask(const std::vector<std::string>& command, const std::string& password) const {
  const std::unique_ptr<redisContext, FreeContext> context(redisConnect("127.0.0.1", port_));
  if (context == nullptr || context->err != 0) return "(gone)";
  if (!password.empty()) run(*context, {"AUTH", password});
  return run(*context, command);
}

}  // namespace sallyport::io::test
