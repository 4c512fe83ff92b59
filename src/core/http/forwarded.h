#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

#include "core/http/address.h"

namespace sallyport::http {

/// How many proxies one behind the other are believed. A longer chain ends there, with the address of the
/// last one that was.
inline constexpr std::size_t kForwardedHopsMax = 16;

/// What stands in a request about the way it came. The views live as long as the head.
struct ForwardedFields {
  std::span<const std::string_view> x_forwarded_for;  ///< all X-Forwarded-For fields in order
  std::span<const std::string_view> forwarded;        ///< all Forwarded fields (RFC 7239) in order
};

/// The client's address, when `peer` sent the request. Nothing is believed of a peer that is not trusted:
/// then it is the client itself. A trusted one has appended, at the right, the address that it was asked
/// from; that is believed, and if it is trusted too, the entry to the left of it, and so on. So the client is
/// the right-most address that is not trusted, or the left-most one if all are. What a client writes into
/// these fields itself stands left of its own address and is never reached.
///
/// A trusted proxy that does not tell (no field, `unknown`, an obfuscated identifier, an empty or malformed
/// entry) ends the walk: its own address counts, and not what stands further left.
///
/// With both kinds of field each is walked, and nothing is the answer if they name different addresses: a
/// proxy that maintains one of them and passes the client's own on as the other must not decide which one is
/// believed. The request is then to be refused.
[[nodiscard]] std::optional<IpAddress> client_address(const IpAddress& peer,
                                                      std::span<const CidrBlock> trusted,
                                                      const ForwardedFields& fields);

}  // namespace sallyport::http
