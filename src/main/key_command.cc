#include "main/key_command.h"

#include <unistd.h>

#include <array>
#include <cstdio>
#include <string>
#include <vector>

#include "core/jose/algorithm.h"
#include "core/jose/mint.h"
#include "feature/config/spelling.h"
#include "main/file.h"
#include "main/status.h"

namespace sallyport::main {
namespace {

constexpr unsigned kPrivateMode = 0600;
constexpr unsigned kPublicMode = 0644;

std::vector<std::string> asymmetric_names() {
  std::vector<std::string> names;
  for (const jose::Algorithm algorithm : jose::kAllAlgorithms) {
    if (jose::family_of(algorithm) == jose::Family::kHmac) continue;
    names.emplace_back(jose::to_string(algorithm));
  }
  return names;
}

// Both or neither: a private key whose public half was never written is of no use to anyone.
int write_pair(const KeyNewCommand& command, const jose::Key& key) {
  const auto pem = jose::export_private_pem(key);
  if (!pem) return complain(kFailed, pem.error().detail);
  const auto jwks = jose::export_jwks(std::array{key});
  if (!jwks) return complain(kFailed, jwks.error().detail);
  const Existing existing = command.force ? Existing::kReplace : Existing::kKeep;
  const auto private_written =
      write_file(command.private_file, pem->reveal(), kPrivateMode, existing);
  if (!private_written) return complain(kFailed, private_written.error());
  const auto public_written = write_file(command.jwks_file, *jwks + "\n", kPublicMode, existing);
  if (!public_written) {
    if (!command.force) ::unlink(command.private_file.c_str());
    return complain(kFailed, public_written.error());
  }
  return kDone;
}

}  // namespace

int key_new(const KeyNewCommand& command) {
  const auto algorithm = jose::algorithm_from_name(command.algorithm);
  if (!algorithm) {
    const auto names = asymmetric_names();
    return complain(kUsage, "--alg " + command.algorithm + " is not one of " +
                                in_a_row(names, "or") +
                                config::did_you_mean(command.algorithm, names));
  }
  if (jose::family_of(*algorithm) == jose::Family::kHmac) {
    return complain(kUsage,
                    "key new makes key pairs and " + command.algorithm +
                        " has a shared secret; make one with: openssl rand -hex 64 > secret.txt");
  }
  if (command.private_file == command.jwks_file) {
    return complain(kUsage, "--private and --jwks name the same file");
  }
  if (!command.force) {
    for (const std::string& path : {command.private_file, command.jwks_file}) {
      if (file_exists(path))
        return complain(kFailed, path + " exists already; --force replaces it");
    }
  }
  const auto key = jose::generate_key(*algorithm, command.kid);
  if (!key) return complain(kUsage, key.error().detail);
  const int status = write_pair(command, *key);
  if (status == kDone) {
    complain(kDone, "made key " + key->kid() + " for " + command.algorithm + ": " +
                        command.private_file + " (keep it secret) and " + command.jwks_file);
  }
  return status;
}

}  // namespace sallyport::main
