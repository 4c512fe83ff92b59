#pragma once

#include <string>
#include <vector>

#include "sallyport/revocation.h"
#include "server/control.h"

// What the API answers, as JSON. Moments are Unix time in seconds, with a fraction where there is one.

namespace sallyport::admin {

[[nodiscard]] std::string connections_json(const server::ConnectionPage& page);
[[nodiscard]] std::string revocations_json(const std::vector<Revocation>& revocations);
[[nodiscard]] std::string revoked_json(const RevokeResult& result);
[[nodiscard]] std::string channels_json(const std::vector<server::ChannelInfo>& channels);
/// `{"NAME":number}`.
[[nodiscard]] std::string count_json(std::string_view name, std::size_t count);

}  // namespace sallyport::admin
