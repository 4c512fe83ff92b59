#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/base/digest.h"
#include "feature/verifiers/question.h"
#include "sallyport/verifiers.h"
#include "server/file_value.h"
#include "server/keys.h"

namespace sallyport {
namespace {

constexpr std::size_t kFileBytesMax = std::size_t{16} * 1024 * 1024;

using Entries = std::unordered_map<base::Sha256, std::shared_ptr<const Principal>, DigestHash>;

// The words of a line, separated by spaces and tabs.
std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  while (true) {
    const std::size_t start = line.find_first_not_of(" \t\r");
    if (start == std::string_view::npos) return words;
    line.remove_prefix(start);
    const std::size_t end = std::min(line.find_first_of(" \t\r"), line.size());
    words.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
}

std::vector<std::string> scopes_of(std::string_view list) {
  std::vector<std::string> scopes;
  while (!list.empty()) {
    const std::size_t end = std::min(list.find(','), list.size());
    if (end > 0) scopes.emplace_back(list.substr(0, end));
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return scopes;
}

bool parse_hex(std::string_view hex, base::Sha256& digest) {
  if (hex.size() != 2 * digest.size()) return false;
  for (std::size_t i = 0; i < digest.size(); ++i) {
    std::uint8_t value = 0;
    const char* const from = hex.data() + 2 * i;
    const auto [end, error] = std::from_chars(from, from + 2, value, 16);
    if (error != std::errc() || end != from + 2) return false;
    digest[i] = value;
  }
  return true;
}

void add(std::string_view line, const std::string& where, const std::string& issuer, Entries& entries) {
  const std::vector<std::string_view> words = words_of(line);
  if (words.empty() || words[0].starts_with('#')) return;
  base::Sha256 digest{};
  if (!parse_hex(words[0], digest)) {
    throw std::runtime_error(where + "a line begins with the SHA-256 of a key, 64 hexadecimal digits "
                                     "(printf %s \"$KEY\" | sha256sum); never write the key itself here");
  }
  if (words.size() < 2 || words.size() > 3) {
    throw std::runtime_error(where + "write \"sha256hex subject scope,scope\"; the scopes may be left out");
  }
  Principal who{.issuer = issuer, .subject = words[1]};
  if (words.size() == 3) who.scopes = scopes_of(words[2]);
  if (!entries.emplace(digest, std::make_shared<const Principal>(std::move(who))).second) {
    throw std::runtime_error(where + "this key is there twice");
  }
}

Entries read_entries(const std::string& file, const std::string& issuer) {
  Entries entries;
  const std::string text = read_file(file, kFileBytesMax);
  std::string_view rest = text;
  for (int line = 1; !rest.empty(); ++line) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    add(rest.substr(0, end), file + ":" + std::to_string(line) + ": ", issuer, entries);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  if (entries.empty()) throw std::runtime_error(file + ": has no key; write \"sha256hex subject scope,scope\"");
  return entries;
}

class ApiKeyBackend final : public VerifierBackend {
 public:
  ApiKeyBackend(const std::string& file, const std::string& name)
      : name_(name), entries_(name, {file}, [file, name] { return read_entries(file, name); }) {}

  void start(const VerifierHost& host) const override { entries_.start(host); }
  void stop() const noexcept override { entries_.stop(); }
  std::uint32_t epoch() const noexcept override { return entries_.epoch(); }

  // Found by digest: what an attacker can learn from the time is how a digest begins, not the key.
  std::optional<Verdict> verify_now(const Presented& presented, WallTime) const override {
    const auto entries = entries_.current();
    const auto found = entries->find(base::sha256(presented.token));
    if (found == entries->end()) return Verdict::not_mine(name_ + ": no such key");
    return Verdict::accept(found->second);
  }
  std::string_view name() const noexcept override { return name_; }

 private:
  const std::string name_;
  mutable FileValue<Entries> entries_;
};

}  // namespace

Verifier api_keys(const std::string& file, std::string name) {
  return Verifier(std::make_shared<ApiKeyBackend>(file, name));
}

}  // namespace sallyport
