#include "main/serve.h"

#include <cstdint>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "feature/config/config.h"
#include "main/factories.h"
#include "main/logger.h"
#include "main/process.h"
#include "main/status.h"
#include "sallyport/admin.h"

namespace sallyport::main {
namespace {

void log_warnings(const LogSink& log, const std::vector<config::Finding>& warnings) {
  for (const config::Finding& warning : warnings) {
    log({.level = LogLevel::kWarn,
         .name = "config.warning",
         .fields = {{"file", warning.file},
                    {"line", std::int64_t{warning.line}},
                    {"detail", warning.text}}});
  }
}

// What a reload cannot change: sockets that listen, threads and files are what they were at the start.
void tell_what_needs_a_restart(const LogSink& log, const config::Config& then, const config::Config& now) {
  const auto tell = [&](bool differs, const char* what) {
    if (!differs) return;
    log({.level = LogLevel::kWarn,
         .name = "config.needs_restart",
         .fields = {{"key", std::string(what)}, {"detail", std::string("the old value stays until a restart")}}});
  };
  tell(then.run.listen != now.run.listen, "server.listen");
  tell(then.run.workers != now.run.workers, "server.workers");
  tell(then.run.drain != now.run.drain, "server.drain");
  tell(then.admin != now.admin, "admin");
  tell(then.store.sqlite_file != now.store.sqlite_file, "store");
  tell(then.log.level != now.log.level || then.log.format != now.log.format, "log");
}

App load_anew(const ServeCommand& command, const config::Config& then, const LogSink& log) {
  auto config = config::load(command.config, verifier_factories());
  if (!config) {
    for (const config::Finding& finding : config.error()) {
      log({.level = LogLevel::kError,
           .name = "config.error",
           .fields = {{"file", finding.file}, {"line", std::int64_t{finding.line}}, {"detail", finding.text}}});
    }
    throw std::runtime_error(command.config + " has errors");
  }
  if (config->routes.empty() && !then.routes.empty()) {
    // An editor or a script that has not finished writing; nobody means to close every socket like this.
    throw std::runtime_error(command.config + " has no [[route]]");
  }
  log_warnings(log, config->warnings);
  tell_what_needs_a_restart(log, then, *config);
  AppOptions options = config->app;
  options.log = log;
  App next(std::move(options));
  config::install(*config, next);
  return next;
}

}  // namespace

int serve(const ServeCommand& command) {
  auto config = config::load(command.config, verifier_factories());
  if (!config) {
    for (const config::Finding& finding : config.error()) {
      std::fprintf(stderr, "%s\n", config::to_string(finding).c_str());
    }
    return kUsage;
  }
  const LogSink log = make_log(config->log);
  prepare_process(log);
  log_warnings(log, config->warnings);
  HangupWatch hangups;
  StartFault fault;
  try {
    AppOptions options = config->app;
    options.log = watch_faults(log, fault, true);
    if (!config->store.sqlite_file.empty()) options.store = sqlite_store(config->store.sqlite_file);
    App app(std::move(options));
    config::install(*config, app);
    if (config->admin) {
      app.add(admin_api({.listen = config->admin->listen,
                         .token_file = config->admin->token_file,
                         .hosts = config->admin->hosts}));
    }
    hangups.answer([&] { (void)app.reload([&] { return load_anew(command, *config, log); }); });
    const struct Unanswered {
      HangupWatch& watch;
      ~Unanswered() { watch.answer({}); }
    } unanswered{hangups};
    return run_app(app, config->run, log, fault,
                   "write another address under [server] listen in " + command.config);
  } catch (const std::exception& error) {
    // The configuration was good a moment ago; a file that it names is not any more.
    return complain(kUsage, error.what());
  }
}

int check(const CheckCommand& command) {
  const auto config = config::load(command.config, verifier_factories());
  const std::vector<config::Finding>& findings = config ? config->warnings : config.error();
  std::string text;
  for (const config::Finding& finding : findings) text += config::to_string(finding) + "\n";
  print(text);
  if (!config) return kUsage;
  // For a person who would otherwise wonder whether anything was looked at; stdout is for findings.
  const std::size_t routes = config->routes.size();
  std::fprintf(stderr, "%s: ok, %zu route%s\n", command.config.c_str(), routes,
               routes == 1 ? "" : "s");
  return command.strict && !findings.empty() ? kFailed : kDone;
}

}  // namespace sallyport::main
