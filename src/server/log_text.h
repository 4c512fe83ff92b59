#pragma once

#include <string>
#include <string_view>

namespace sallyport::server {

/// A raw path without its query, as the log may show it: printable ASCII of at most 200 bytes. A segment that
/// is long, or begins like a JSON Web Token, is shown as "...": paths carry no credential, but a mistaken
/// client may have put one there.
[[nodiscard]] std::string path_for_log(std::string_view raw_path);

/// The page of a refused Origin, as an operator would list it, or why it is none: "the Origin
/// http://localhost:3000 is not among the route's". Whatever does not parse as an origin is not repeated.
[[nodiscard]] std::string foreign_origin_for_log(std::string_view value);

}  // namespace sallyport::server
