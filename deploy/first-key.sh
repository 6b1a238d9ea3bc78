#!/bin/sh
# Makes the first key, of an administrator, and writes it. Nobody needs a key before there is one, so the service runs
# for that moment where only its own machine reaches it. Run it before the nodes start, with their settings.
set -eu
export HOST=127.0.0.1 PORT=8103 LOG_LEVEL=error
cd "$(dirname "$0")/.."
node dist/service/main.js >&2 &
service=$!
trap 'kill "$service" 2>/dev/null || true' EXIT
until node -e "fetch('http://127.0.0.1:$PORT/readyz').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"; do
  kill -0 "$service"
  sleep 1
done
node dist/service/cli.js --server "http://127.0.0.1:$PORT" keys create --role admin --label "First key"
