#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string_view>
#include <typeindex>
#include <vector>

#include "io/tls.h"
#include "sallyport/app.h"
#include "server/admission.h"
#include "server/outbox.h"
#include "server/route_table.h"

namespace sallyport::server {

class Worker;

/// What all workers of an app share. Set up before they start; afterwards immutable except for what says
/// that it is thread-safe.
struct Shared {
  explicit Shared(AppOptions given);
  ~Shared();

  AppOptions options;
  RouteTable routes;
  std::shared_ptr<const io::TlsContext> tls;
  bool check_loopback_host = false;            // every listener is on loopback and no public URL is set
  Admission admission;                        // thread-safe
  std::atomic<std::size_t> open = 0;          // authenticated connections
  std::atomic<std::uint64_t> stale = 0;       // answers and deadlines that came too late
  std::vector<std::unique_ptr<Worker>> workers;
  std::atomic<bool> serving = false;          // `workers` is complete and may be read by any thread
  std::vector<std::pair<std::type_index, std::function<std::any()>>> worker_states;

  /// Delivers to the channel's members on every worker; `from` delivers at once, the others are posted to.
  void publish(Worker* from, std::string_view channel, const Frame& frame);
};

}  // namespace sallyport::server
