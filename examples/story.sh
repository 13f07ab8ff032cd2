#!/bin/sh
# Use curl: API=http://127.0.0.1:8000 TOKEN=... sh story.sh
set -eu
api() {
  curl --silent --show-error --header "Authorization: Bearer $TOKEN" \
    --header 'Content-Type: application/json' "$@"
}
value() { grep -o "\"$1\" *: *\"[^\"]*\"" | head -n 1 | cut -d '"' -f 4; }

conversation=$(api "$API/conversations" --data '{"source": "example"}' | value id)
messages=$API/conversations/${conversation:?was not created: check API and TOKEN}/messages
key=$(od -A n -N 16 -t x1 /dev/urandom | tr -d ' \n') # a new key for each new message
for attempt in 1 2; do # the retry returns the first answer and creates nothing
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
