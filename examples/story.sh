#!/bin/sh
# One conversation with curl: API=http://127.0.0.1:8000 TOKEN=... sh story.sh
set -eu
api() {
  curl --silent --show-error --header "Authorization: Bearer $TOKEN" \
    --header 'Content-Type: application/json' "$@"
}
value() { grep -o "\"$1\" *: *\"[^\"]*\"" | head -n 1 | cut -d '"' -f 4; }

conversation=$(api "$API/conversations" --data '{"source": "example"}' | value id)
messages=$API/conversations/${conversation:?was not made: is the token a good one?}/messages
key=$(od -A n -N 16 -t x1 /dev/urandom | tr -d ' \n') # new for each thing to be done
for attempt in 1 2; do # the second as if the first one's answer was lost: it makes nothing
  api "$messages" --header "Idempotency-Key: $key" --data '{
    "role": "user", "content": "Which lease costs less?", "attachments": [
    {"name": "a.pdf", "type": "application/pdf", "url": "s3://leases/a.pdf", "size": 482133}]}' >/dev/null
done
run=$(api "$API/runs" --data '{"agent_id": "document-agent", "status": "running"}' | value id)
api "$messages" --data '{"role": "assistant", "content": "Harbour Street.", "run_id": "'"$run"'",
  "routing_decision": {"selected_tools": ["search"], "confidence": 0.92}}' >/dev/null
api --request PATCH "$API/runs/$run" --data '{"status": "succeeded"}' >/dev/null

cursor=
while page=$(api "$messages?limit=1${cursor:+&cursor=$cursor}"); do
  echo "$page" | value role
  echo "$page" | value content
  cursor=$(echo "$page" | value next_cursor)
  [ -n "$cursor" ] || break
done
api --request PATCH "$API/runs/$run" --data '{"status": "running"}' | value detail
