#!/bin/sh
# One session over REST with curl: find an avatar, create, start, show, end (docs/howto/curl.md).
#
#     VISAVIS_API_KEY=ah_live_... sh examples/rest.sh [http://127.0.0.1:8000]
set -eu
base=${1:-http://127.0.0.1:8000}

# call METHOD PATH [curl's options]: print the answer; fail with the answer of a refused call.
call() {
    method=$1 path=$2
    shift 2
    curl --silent --show-error --fail-with-body --request "$method" "$base$path" \
        --header "x-api-key: $VISAVIS_API_KEY" --header "Prefer: handling=strict" "$@"
}

# member NAME: print the first text member of this name in the answer on stdin.
member() {
    sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p;q" | head -n 1
}

character=$(call GET /v1/avatars/public | sed 's/.*"avatars":\[{"avatar_id":"\([^"]*\)".*/\1/')
look=$(call GET "/v1/avatars?parent_id=$character" | sed 's/.*"avatars":\[{"avatar_id":"\([^"]*\)".*/\1/')
echo "look: $look"

# The Idempotency-Key lets you repeat the call: it makes one session.
created=$(call POST /v1/sessions --header "Content-Type: application/json" --header "Idempotency-Key: $$-$(date +%s)" \
    --data "{\"avatar_id\": \"$look\", \"metadata\": {\"purpose\": \"curl\"}}")
session=$(printf '%s' "$created" | member session_id)
echo "session: $session"

ws_uri=try_again
while [ "$ws_uri" = try_again ]; do
    started=$(call POST "/v1/sessions/$session/start") # a refusal ends this script
    ws_uri=$(printf '%s' "$started" | member ws_uri)
done
echo "channel: $ws_uri"
echo "status: $(call GET "/v1/sessions/$session" | member status)"

call POST "/v1/sessions/$session/end" >/dev/null
echo "status: $(call GET "/v1/sessions/$session" | member status)"
