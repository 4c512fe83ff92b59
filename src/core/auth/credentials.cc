#include "core/auth/credentials.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "core/http/cookie.h"
#include "core/http/query.h"

namespace sallyport {

std::string_view name(CredentialKind kind) noexcept {
  switch (kind) {
    case CredentialKind::kNone: return "none";
    case CredentialKind::kHeader: return "header";
    case CredentialKind::kSubprotocol: return "subprotocol";
    case CredentialKind::kTicket: return "ticket";
    case CredentialKind::kCookie: return "cookie";
    case CredentialKind::kCertificate: return "certificate";
    case CredentialKind::kFirstMessage: return "first_message";
    case CredentialKind::kInsecureQuery: return "insecure_query";
  }
  return "none";
}

}  // namespace sallyport

namespace sallyport::auth {
namespace {

// Erased wherever they stand: the parameter of tickets, and the one that RFC 6750 section 2.3 gave a name.
constexpr std::string_view kQueryCredentials[] = {"ticket", "access_token"};

bool is_bearer(std::string_view authorization) {
  constexpr std::string_view kScheme = "bearer";
  if (authorization.size() < kScheme.size()) return false;
  const bool same = std::equal(kScheme.begin(), kScheme.end(), authorization.begin(),
                               [](char a, char b) { return a == (b | 0x20); });
  if (!same || authorization.size() == kScheme.size()) return same;
  // A tab is no separator (RFC 6750 section 2.1), but what follows it is a token all the same: it is
  // taken, refused by the verifier, and never seen by anyone else.
  return authorization[kScheme.size()] == ' ' || authorization[kScheme.size()] == '\t';
}

std::string_view bearer_token(std::string_view authorization) {
  authorization.remove_prefix(std::min<std::size_t>(authorization.size(), 6));
  const std::size_t start = authorization.find_first_not_of(' ');
  return start == std::string_view::npos ? std::string_view() : authorization.substr(start);
}

class Taker {
 public:
  Taker(http::Head& head, http::SubprotocolOffer* offer, const CredentialSet& accepted)
      : head_(head), offer_(offer), accepted_(accepted) {}

  std::expected<std::optional<Credential>, Failure> take() {
    from_header();
    from_subprotocol();
    from_cookie();
    from_query();
    if (refused_) return std::unexpected(*refused_);
    return std::move(found_);
  }

 private:
  void found(CredentialKind kind, base::Secret token) {
    if (found_) return refuse();
    found_ = Credential{kind, std::move(token)};
  }
  void refuse() { refused_ = Failure::kBadRequest; }

  void from_header() {
    const auto values = head_.find_all("authorization");
    const bool bearer = std::any_of(values.begin(), values.end(), is_bearer);
    if (accepted_.contains(CredentialKind::kHeader)) {
      if (values.size() > 1) refuse();
      if (values.size() == 1 && bearer) {
        found(CredentialKind::kHeader, base::Secret(bearer_token(values[0])));
      }
    }
    if (bearer) head_.erase_field("authorization");
  }

  void from_subprotocol() {
    if (offer_ != nullptr && accepted_.contains(CredentialKind::kSubprotocol)) {
      if (!offer_->credential) {
        refuse();
      } else if (*offer_->credential) {
        found(CredentialKind::kSubprotocol, std::move(**offer_->credential));
      }
    }
    if (offer_ != nullptr) offer_->credential = std::optional<base::Secret>();
    head_.erase_list_items("sec-websocket-protocol", &http::is_credential_item);
  }

  void from_cookie() {
    if (!accepted_.contains(CredentialKind::kCookie)) return;
    const auto fields = head_.find_all("cookie");
    const auto cookie = http::find_cookie(fields, accepted_.cookie_name());
    if (!cookie) {
      refuse();
    } else if (*cookie) {
      found(CredentialKind::kCookie, base::Secret(**cookie));
    }
    head_.erase_cookie(accepted_.cookie_name());
  }

  void from_query() {
    if (accepted_.contains(CredentialKind::kInsecureQuery)) {
      auto value = http::find_query_parameter(head_.query().value_or(""), accepted_.query_name());
      if (!value) {
        refuse();
      } else if (*value) {
        found(CredentialKind::kInsecureQuery, base::Secret(**value));
        base::wipe((*value)->data(), (*value)->size());
      }
      head_.erase_query_parameter(accepted_.query_name());
    }
    for (const std::string_view parameter : kQueryCredentials) {
      head_.erase_query_parameter(parameter);
    }
  }

  http::Head& head_;
  http::SubprotocolOffer* offer_;
  const CredentialSet& accepted_;
  std::optional<Credential> found_;
  std::optional<Failure> refused_;
};

}  // namespace

bool ambient(CredentialKind kind) noexcept {
  return kind == CredentialKind::kCookie || kind == CredentialKind::kCertificate;
}

std::expected<std::optional<Credential>, Failure> take_credential(http::Head& head,
                                                                  http::SubprotocolOffer* offer,
                                                                  const CredentialSet& accepted) {
  return Taker(head, offer, accepted).take();
}

}  // namespace sallyport::auth
