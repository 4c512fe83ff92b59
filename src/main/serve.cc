#include "main/serve.h"

#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "feature/config/config.h"
#include "main/factories.h"
#include "main/logger.h"
#include "main/process.h"
#include "main/status.h"

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
  const HangupWatch hangups(log);
  std::string fault;
  try {
    AppOptions options = config->app;
    options.log = watch_faults(log, fault, true);
    App app(std::move(options));
    config::install(*config, app);
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
