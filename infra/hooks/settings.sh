#!/bin/sh
# Validates the values of `azd env set` before provisioning. Azure accepts a provider without a client id, and unknown scopes; the
# first fails at the first sign-in, the second when the handler starts.
set -euf

provider=${CHAT_AUTH_PROVIDER:-aad}
client=${CHAT_AUTH_CLIENT_ID:-}
secret=${CHAT_AUTH_SECRET_URI:-}

fail() {
  echo "settings: $1" >&2
  exit 1
}

case $provider in
aad)
  [ -z "$secret" ] || fail "CHAT_AUTH_SECRET_URI is for other providers; aad needs no secret. Unset it, or set CHAT_AUTH_PROVIDER."
  ;;
apple | facebook | github | google | x)
  [ -n "$client" ] || fail "with CHAT_AUTH_PROVIDER=$provider, set CHAT_AUTH_CLIENT_ID to the client id of your application there."
  case $secret in
  https://?*/secrets/?*) ;;
  *) fail "with CHAT_AUTH_PROVIDER=$provider, set CHAT_AUTH_SECRET_URI to https://VAULT.vault.azure.net/secrets/NAME, never to the secret." ;;
  esac
  ;;
*)
  fail "CHAT_AUTH_PROVIDER is one of aad, apple, facebook, github, google, x."
  ;;
esac

for scope in ${CHAT_ACCESS_TOKEN_SCOPES:-}; do
  case $scope in
  chat | chat.join | chat.join.limited | voip | voip.join) ;;
  *) fail "CHAT_ACCESS_TOKEN_SCOPES is a list of chat, chat.join, chat.join.limited, voip, voip.join, separated by spaces." ;;
  esac
done
