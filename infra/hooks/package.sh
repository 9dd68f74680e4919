#!/bin/sh
# Builds target/package/handler.zip, which azure.yaml names. azd deploys an outdated zip without a warning, so it is built every time.
set -eu
cd "$(dirname "$0")/../.."

refuse() {
  echo "package: $1" >&2
  exit 1
}

[ "$(uname -sm)" = "Linux x86_64" ] ||
  refuse "the handler runs on x86-64 Linux in Azure and is built there: run azd in the dev container (.devcontainer), or on Windows in WSL."
for tool in make cargo; do
  command -v "$tool" >/dev/null || refuse "$tool is not on the PATH; the dev container (.devcontainer) has all that is needed."
done

make package
