#!/usr/bin/env bash
# A route without a verifier must not compile; the same route with one must.
set -euo pipefail
compiler=$1
root=$(cd "$(dirname "$0")/../.." && pwd)
compile() {
  printf '#include <sallyport/sallyport.h>\nint main() {\n  sallyport::App app;\n  %s\n}\n' "$1" |
    "$compiler" -std=c++23 -fsyntax-only -I "$root/include" -x c++ - 2>"${TMPDIR:-/tmp}/no_verifier.$$"
}
trap 'rm -f "${TMPDIR:-/tmp}/no_verifier.$$"' EXIT
compile 'app.ws("/x", {.auth = {.verifier = sallyport::insecure_anonymous()}});' ||
  { cat "${TMPDIR:-/tmp}/no_verifier.$$"; echo "the route with a verifier does not compile"; exit 1; }
for bad in 'app.ws("/x", {});' 'app.ws("/x", {.limits = {}});' 'app.ws("/x", {.auth = {.from = sallyport::header}});' \
  'sallyport::Verifier verifier;'; do
  if compile "$bad"; then echo "compiles, and must not: $bad"; exit 1; fi
done
