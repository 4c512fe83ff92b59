#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string_view>
#include <typeindex>
#include <vector>

#include "sallyport/app.h"
#include "server/admission.h"
#include "server/byte_budget.h"
#include "server/history.h"
#include "server/publication.h"
#include "server/resume_store.h"
#include "server/revocations.h"
#include "server/site.h"
#include "server/subject_table.h"
#include "server/ticket_store.h"

namespace sallyport::server {

class Worker;

/// What all workers of an app share. Set up before they start; afterwards immutable except for what says
/// that it is thread-safe.
struct Shared {
  /// What plain answers that wait for their peers may hold in all; over it the answer is 503.
  static constexpr std::size_t kAnswerBytes = 64 * 1024 * 1024;

  /// Throws what `Site` throws.
  explicit Shared(AppOptions given);
  ~Shared();

  AppOptions options;  // what its log sink throws is swallowed; `site` says what a reload may change
  /// What holds now. Once it serves: the control thread's; workers have their own.
  std::shared_ptr<Site> site;
  Admission admission;                        // thread-safe
  TicketStore tickets;                        // thread-safe
  SubjectTable subjects;                      // thread-safe
  History history;                            // thread-safe
  ResumeStore resumes;                        // thread-safe
  SharedVerificationCache verified;           // thread-safe
  boost::asio::io_context* control = nullptr; // runs on the control thread
  Revocations revocations{*this};             // the control thread's
  std::string node;                           // this process among others
  std::atomic<bool> draining = false;
  std::atomic<std::size_t> open = 0;          // authenticated connections
  ByteBudget answers{kAnswerBytes};           // thread-safe
  std::atomic<int> full_inboxes = 0;          // while any is, those who publish are not read
  std::atomic<std::uint64_t> dropped_publications = 0;  // since the last time that the log was told
  std::atomic<std::int64_t> drops_told_ms = 0;          // when that was, by the monotonic clock
  std::vector<std::pair<std::type_index, std::function<std::any()>>> worker_states;
  std::vector<std::unique_ptr<Worker>> workers;
  std::atomic<bool> serving = false;          // `workers` is complete and may be read by any thread

  /// Delivers to the channel's members on every worker, in the same order on all of them. `from`, whose thread it is
  /// then, begins at once; the others find it in their inbox.
  /// False if one of them had no room, so that its members miss it; the log is told once a second.
  bool publish(Worker* from, std::string_view channel, const Frame& frame);
  /// From a coroutine of a worker's: `Revocations::revoke`.
  [[nodiscard]] awaitable<std::expected<RevokeResult, RevokeFault>> revoke(
      RevokeRequest request, std::optional<Store::SeenToken> token = {});
  /// No inbox is full any more: on every worker, those who publish are read again.
  void wake_publishers();

 private:
  void tell_drop();
};

}  // namespace sallyport::server
