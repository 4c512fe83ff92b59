#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "core/jose/key.h"
#include "sallyport/request.h"
#include "sallyport/verifier.h"

namespace sallyport::main {

/// What the demo's token endpoint looks at.
struct DemoTokenRequest {
  std::string_view host;                           ///< the Host field
  std::optional<std::string_view> sec_fetch_site;  ///< who asks, as the browser says
  std::optional<std::string> kind;
  std::optional<std::string> name;
};

/// The demo's own identity provider. It gives a token to whoever asks, and so exists in the demo
/// only, for pages and people of this machine. Immutable; any worker may ask it.
class DemoIssuer {
 public:
  static constexpr std::string_view kIssuer = "https://demo.sallyport.test/";
  static constexpr std::string_view kAudience = "demo";

  /// With fresh keys, which nobody keeps.
  [[nodiscard]] static std::expected<DemoIssuer, std::string> make();

  /// A verifier of its tokens.
  [[nodiscard]] Verifier verifier() const;

  /// 200 with `{"token":T,"expires_at":N}`, 400, or 403 for a foreign page or a Host that is not
  /// this machine.
  [[nodiscard]] Response answer(const DemoTokenRequest& request, WallTime now) const;

 private:
  DemoIssuer(jose::Key key, jose::Key foreign_key)
      : key_(std::move(key)), foreign_key_(std::move(foreign_key)) {}

  jose::Key key_;
  jose::Key foreign_key_;  // the same key id: the forger's
};

}  // namespace sallyport::main
