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
  Taker(http::Head& head, http::SubprotocolOffer* offer, const CredentialQuestion& question)
      : head_(head), offer_(offer), accepted_(question.accepted), question_(question) {}

  std::expected<std::optional<Credential>, Failure> take() {
    auto wanted = wanted_fields();
    from_header();
    from_subprotocol();
    from_cookie();
    from_query();
    from_certificate();
    if (refused_) return std::unexpected(*refused_);
    if (found_) {
      found_->fields = std::move(wanted);
      found_->certificate = question_.certificate;
    }
    return std::move(found_);
  }

 private:
  void found(CredentialKind kind, base::Secret token) {
    if (found_) return refuse();
    found_ = Credential{kind, std::move(token)};
  }
  void refuse() { refused_ = Failure::kBadRequest; }

  // Before anything is erased. A field that comes twice is joined as RFC 9110 section 5.3 has it.
  std::vector<std::pair<std::string, base::Secret>> wanted_fields() {
    std::vector<std::pair<std::string, base::Secret>> fields;
    for (const std::string& name : question_.wanted_fields) {
      std::string joined;
      for (const std::string_view value : head_.find_all(name)) {
        if (!joined.empty()) joined += name == "cookie" ? "; " : ", ";
        joined += value;
      }
      if (!joined.empty()) fields.emplace_back(name, base::Secret(joined));
      base::wipe(joined.data(), joined.size());
    }
    return fields;
  }

  void from_certificate() {
    if (!accepted_.contains(CredentialKind::kCertificate) || question_.certificate == nullptr) return;
    found(CredentialKind::kCertificate, base::Secret(*question_.certificate));
  }

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
    if (accepted_.contains(CredentialKind::kTicket)) {
      auto value = http::find_query_parameter(head_.query().value_or(""), "ticket");
      if (!value) {
        refuse();
      } else if (*value) {
        found(CredentialKind::kTicket, base::Secret(**value));
        base::wipe((*value)->data(), (*value)->size());
      }
    }
    for (const std::string_view parameter : kQueryCredentials) {
      head_.erase_query_parameter(parameter);
    }
  }

  http::Head& head_;
  http::SubprotocolOffer* offer_;
  const CredentialSet& accepted_;
  const CredentialQuestion& question_;
  std::optional<Credential> found_;
  std::optional<Failure> refused_;
};

}  // namespace

bool ambient(CredentialKind kind) noexcept {
  return kind == CredentialKind::kCookie || kind == CredentialKind::kCertificate;
}

std::expected<std::optional<Credential>, Failure> take_credential(http::Head& head,
                                                                  http::SubprotocolOffer* offer,
                                                                  const CredentialQuestion& question) {
  return Taker(head, offer, question).take();
}

}  // namespace sallyport::auth
