#include <cstdio>
#include <exception>
#include <variant>

#include "main/admin_command.h"
#include "main/command_line.h"
#include "main/demo.h"
#include "main/key_command.h"
#include "main/process.h"
#include "main/serve.h"
#include "main/status.h"
#include "main/token_command.h"

namespace {

using namespace sallyport::main;

struct Runner {
  int operator()(const ServeCommand& command) const { return serve(command); }
  int operator()(const DemoCommand& command) const { return demo(command); }
  int operator()(const CheckCommand& command) const { return check(command); }
  int operator()(const KeyNewCommand& command) const { return key_new(command); }
  int operator()(const TokenMintCommand& command) const { return token_mint(command); }
  int operator()(const TokenInspectCommand& command) const { return token_inspect(command); }
  int operator()(const ConnectionsCommand& command) const { return connections(command); }
  int operator()(const RevokeCommand& command) const { return revoke(command); }
  int operator()(const PublishCommand& command) const { return publish(command); }
};

}  // namespace

int main(int argc, char** argv) {
  reserve_standard_streams();
  try {
    const auto command = parse_command_line(argc, argv);
    if (!command) {
      const Answer& answer = command.error();
      if (answer.status != kDone) return complain(answer.status, answer.text);
      return print(answer.text) ? kDone : kFailed;
    }
    return std::visit(Runner{}, *command);
  } catch (const std::exception& error) {
    return complain(kFailed, error.what());
  }
}
