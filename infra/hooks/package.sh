#!/bin/sh
# Builds target/package/handler.zip, which azd deploys. It is built every time, because azd does not detect an outdated package.
set -eu
cd "$(dirname "$0")/../.."

fail() {
  echo "package: $1" >&2
  exit 1
}

[ "$(uname -sm)" = "Linux x86_64" ] ||
  fail "the package can be built on x86-64 Linux only: run azd in the dev container (.devcontainer), or on Windows in WSL."
for tool in make cargo; do
  command -v "$tool" >/dev/null || fail "$tool is not on the PATH; the dev container (.devcontainer) has all required tools."
done

make package
