#!/bin/sh
# Builds the page and uploads it, with the addresses of this deployment in its config.json. DefaultAzureCredential signs in as the
# current user or pipeline, without a key. azd sets the CHAT_ variables from the outputs of infra/main.bicep.
set -eu
cd "$(dirname "$0")/../.."

for name in CHAT_STORAGE_ACCOUNT CHAT_API_URL CHAT_AUTH_PROVIDER CHAT_PAGE_URL; do
  eval "value=\${$name:-}"
  if [ -z "$value" ]; then
    echo "page: $name is not set; run \`azd provision\` first, or \`azd env refresh\` if it ran on another machine." >&2
    exit 1
  fi
done

make page

# infra/modules/storage.bicep enables the static website, because that needs more rights than an upload.
upload() {
  npm --prefix content run upload -- --no-website \
    --account "$CHAT_STORAGE_ACCOUNT" --api "$CHAT_API_URL" --provider "$CHAT_AUTH_PROVIDER"
}

# Exit code 77 means that a right is missing. A new role assignment takes minutes to take effect; other failures are not retried.
tries=6
while :; do
  status=0
  upload || status=$?
  tries=$((tries - 1))
  [ "$status" -eq 77 ] && [ "$tries" -gt 0 ] || break
  echo "page: trying again in ${CHAT_UPLOAD_PAUSE:-30} seconds, in case a new role is not known everywhere yet." >&2
  sleep "${CHAT_UPLOAD_PAUSE:-30}"
done
[ "$status" -eq 0 ] || exit "$status"

echo "The chat is at $CHAT_PAGE_URL"
