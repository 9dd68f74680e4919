#!/bin/sh
# Checks the values of `azd env set` before resources are created. Azure accepts a provider without its application, which fails only at
# the first sign-in, and any scope, with which the handler answers 503 only.
set -euf

provider=${CHAT_AUTH_PROVIDER:-aad}
client=${CHAT_AUTH_CLIENT_ID:-}
secret=${CHAT_AUTH_SECRET_URI:-}

refuse() {
  echo "settings: $1" >&2
  exit 1
}

case $provider in
aad)
  [ -z "$secret" ] || refuse "CHAT_AUTH_SECRET_URI is for other providers; aad needs no secret. Unset it, or set CHAT_AUTH_PROVIDER."
  ;;
apple | facebook | github | google | x)
  [ -n "$client" ] || refuse "with CHAT_AUTH_PROVIDER=$provider, set CHAT_AUTH_CLIENT_ID to the client id of your application there."
  case $secret in
  https://?*/secrets/?*) ;;
  *) refuse "with CHAT_AUTH_PROVIDER=$provider, set CHAT_AUTH_SECRET_URI to https://VAULT.vault.azure.net/secrets/NAME, never to the secret." ;;
  esac
  ;;
*)
  refuse "CHAT_AUTH_PROVIDER is one of aad, apple, facebook, github, google, x."
  ;;
esac

for scope in ${CHAT_ACCESS_TOKEN_SCOPES:-}; do
  case $scope in
  chat | chat.join | chat.join.limited | voip | voip.join) ;;
  *) refuse "CHAT_ACCESS_TOKEN_SCOPES is made of chat, chat.join, chat.join.limited, voip, voip.join, with spaces between them." ;;
  esac
done
