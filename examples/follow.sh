#!/bin/sh
# Follow a run with curl: API=http://127.0.0.1:8000 TOKEN=... sh follow.sh RUN_ID FILE
# Stop it at any time and run it again: the last line of FILE tells where to continue.
set -eu
touch "$2"
field() { tail -n 1 "$2" | cut -d ' ' -f "$1"; }

while [ "$(field 2 "$2")" != run.ended ]; do
  {
    curl --no-buffer --silent --show-error --fail --retry 60 --retry-connrefused --retry-delay 1 \
      --header "Authorization: Bearer $TOKEN" --header "Last-Event-ID: $(field 1 "$2")" \
      "$API/runs/$1/events/stream" || [ $? -ne 22 ] || echo refused
  } | while IFS= read -r line; do
    case $line in
      id:*) id=${line#id: } ;;
      event:*) event=${line#event: } ;;
      data:*) printf '%s %s %s\n' "$id" "$event" "${line#data: }" >>"$2" ;;
      refused) exit 1 ;;
    esac
  done
  sleep 1
done
