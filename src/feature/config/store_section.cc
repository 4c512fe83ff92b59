#include "feature/config/store_section.h"

#include <chrono>
#include <string>
#include <string_view>
#include <utility>

#include "feature/config/spelling.h"
#include "io/address.h"

namespace sallyport::config {
namespace {

using namespace std::chrono_literals;

const Table& table_of(const Entry& entry) { return std::get<Table>(entry.node.value); }

void read_kind(Section& store, Reading& reading, StoreSettings& settings) {
  std::string kind = "memory";
  const bool named = store.read_string("kind", kind);
  const std::string words[] = {"memory", "sqlite", "redis"};
  if (kind == words[2]) {
    store.error(store.line_of("kind"), not_available("kind = " + in_quotes(kind)));
    store.unavailable("url");
  } else if (kind != words[0] && kind != words[1]) {
    store.error(store.line_of("kind"),
                "kind must be " + alternatives(words) + ", not " + in_quotes(kind) + did_you_mean(kind, words));
  }
  std::string path;
  if (kind == words[1]) {
    if (store.read_string("path", path)) settings.sqlite_file = reading.path(path);
    if (!store.has("path")) {
      store.error(store.line_of("kind"),
                  "path is missing; name the file that keeps revocations, such as \"sallyport.db\"");
    }
  } else if (kind == words[0]) {
    store.refuse("path", named ? "path belongs to kind = \"sqlite\"; in memory nothing is kept in a file"
                               : "path needs kind = \"sqlite\"");
  } else {
    store.ignore("path");
  }
  if (kind != words[2]) store.refuse("url", "url belongs to kind = \"redis\"");
}

void read_admin_listen(Section& admin, AdminSettings& settings) {
  const auto addresses = admin.read_text_or_texts("listen");
  if (!admin.has("listen")) {
    admin.error(admin.line(), "listen is missing; write for example listen = \"127.0.0.1:9090\"");
  }
  if (!addresses) return;
  if (addresses->empty()) admin.error(admin.line_of("listen"), "listen must name at least one address");
  for (const PlacedText& address : *addresses) {
    const auto endpoint = io::parse_endpoint(address.value);
    if (!endpoint) {
      admin.error(address.line, "listen: " + endpoint.error());
    } else if (!endpoint->loopback()) {
      // It ends sessions and names users, in plain text.
      admin.error(address.line, "listen: " + in_quotes(address.value) +
                                    " is not a loopback address; the admin API speaks plain text, so let a tunnel "
                                    "or a proxy with TLS reach it there");
    } else {
      settings.listen.push_back(address.value);
    }
  }
}

}  // namespace

void read_store(Section& root, Reading& reading, Config& config) {
  const Entry* const entry = root.read_table("store");
  if (entry == nullptr) return;
  Section store(table_of(*entry), entry->node.line, "[store]", reading.findings);
  read_kind(store, reading, config.store);
  store.read_duration("keep", config.app.keep_revocations, {1min, 400 * 24h});
  store.finish();
}

void read_admin(Section& root, Reading& reading, Config& config) {
  const Entry* const entry = root.read_table("admin");
  if (entry == nullptr) return;
  Section admin(table_of(*entry), entry->node.line, "[admin]", reading.findings);
  AdminSettings settings;
  read_admin_listen(admin, settings);
  std::string file;
  if (admin.read_string("token_file", file)) settings.token_file = reading.path(file);
  if (!admin.has("token_file")) {
    admin.error(admin.line(), "token_file is missing; name a file with a long random secret, which whoever "
                              "administers sends as \"Authorization: Bearer ...\"");
  } else if (!settings.token_file.empty()) {
    const std::string fault = reading.files.token_fault(settings.token_file);
    if (!fault.empty()) admin.error(admin.line_of("token_file"), fault);
  }
  if (const auto hosts = admin.read_text_or_texts("hosts")) {
    for (const PlacedText& host : *hosts) settings.hosts.push_back(host.value);
  }
  admin.finish();
  config.admin = std::move(settings);
}

}  // namespace sallyport::config
