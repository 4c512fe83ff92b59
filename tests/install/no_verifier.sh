#!/usr/bin/env bash
# A route without a verifier must not compile; the same route with one must.
set -euo pipefail
compiler=$1
root=$(cd "$(dirname "$0")/../.." && pwd)
errors=$(mktemp)
trap 'rm -f "$errors"' EXIT
compile() {
  printf '#include <sallyport/sallyport.h>\nint main() {\n  sallyport::App app;\n  %s\n}\n' "$1" |
    "$compiler" -std=c++23 -fsyntax-only -I "$root/include" -x c++ - 2>"$errors"
}
# Each line once with a verifier (@ stands for it), which must compile, and once without.
while read -r line; do
  good=${line//@/.verifier = sallyport::insecure_anonymous(), }
  bad=${line//@/}
  compile "$good" || { cat "$errors"; echo "does not compile, and should: $good"; exit 1; }
  if compile "$bad"; then echo "compiles, and must not: $bad"; exit 1; fi
  # For want of a verifier, not for some other fault.
  grep -q 'Verifier' "$errors" || { cat "$errors"; echo "refused for another reason: $bad"; exit 1; }
done <<'END'
app.ws("/x", sallyport::Route{.auth = {@.timeout = std::chrono::seconds(1)}});
app.ws<int>("/x", sallyport::RouteOf<int>{.auth = {@.from = sallyport::header}});
END
for bad in 'app.ws("/x", {});' 'sallyport::Verifier verifier;'; do
  if compile "$bad"; then echo "compiles, and must not: $bad"; exit 1; fi
done
