#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "sallyport/store.h"

namespace sallyport::store {

/// What tests set; `sqlite_store` takes the defaults.
struct SqliteOptions {
  /// Now, for deleting what has ended while the store is open. Null: the system's clock.
  std::function<WallTime()> clock = {};
  /// How large the file may become, in pages of 4 KiB; 0: as the disk allows.
  std::uint32_t pages_max = 0;
};

[[nodiscard]] std::shared_ptr<Store> make_sqlite_store(std::string path, SqliteOptions options);

}  // namespace sallyport::store
