#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <functional>
#include <string>

// Another process, for tests: it runs a function as often as it is asked, and says its answers.

namespace sallyport::store {

class Child {
 public:
  /// Begins at once, and runs nothing until it is asked. Without superuser rights, if they are to be given
  /// up.
  explicit Child(const std::function<std::string()>& run, bool as_nobody = false) {
    std::array<int, 2> questions{};
    std::array<int, 2> answers{};
    if (::pipe(questions.data()) != 0 || ::pipe(answers.data()) != 0) return;
    process_ = ::fork();
    if (process_ == 0) {
      ::close(questions[1]);
      ::close(answers[0]);
      serve(run, as_nobody, questions[0], answers[1]);
    }
    ::close(questions[0]);
    ::close(answers[1]);
    ask_ = questions[1];
    hear_ = answers[0];
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    ::close(ask_);
    ::close(hear_);
    ::waitpid(process_, nullptr, 0);
  }

  /// Answers of up to 4,000 bytes.
  std::string ask() {
    std::array<char, 4'000> said{};
    if (::write(ask_, "?", 1) != 1) return "the child cannot be asked";
    const ssize_t size = ::read(hear_, said.data(), said.size());
    return size > 0 ? std::string(said.data() + 1, static_cast<std::size_t>(size) - 1) : "the child failed";
  }

 private:
  [[noreturn]] static void serve(const std::function<std::string()>& run, bool as_nobody, int questions,
                                 int answers) {
    constexpr unsigned kNobody = 65'534;
    if (as_nobody && ::geteuid() == 0 && (::setgid(kNobody) != 0 || ::setuid(kNobody) != 0)) ::_exit(1);
    char question = 0;
    while (::read(questions, &question, 1) == 1) {
      const std::string said = "=" + run();  // so that nothing is said in more than no bytes
      if (::write(answers, said.data(), said.size()) != static_cast<ssize_t>(said.size())) ::_exit(1);
    }
    ::_exit(0);  // neither destructors nor the test program's own end
  }

  pid_t process_ = -1;
  int ask_ = -1;
  int hear_ = -1;
};

/// What `run` returned in a process of its own, which then ended without closing anything.
inline std::string in_child(const std::function<std::string()>& run, bool as_nobody = false) {
  return Child(run, as_nobody).ask();
}

}  // namespace sallyport::store
