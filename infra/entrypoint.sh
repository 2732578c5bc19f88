#!/bin/sh
# The image's one entry point: where Lambda announces its runtime API, the function that the command names
# (`functions/search-by-text.handler`); else the server, which then is process 1 and gets signals itself.
set -eu
cd /app

if [ -z "${AWS_LAMBDA_RUNTIME_API:-}" ]; then
  exec node dist/functions/server.cjs
fi

_HANDLER=${1:-${_HANDLER:-}}
if [ -z "$_HANDLER" ]; then
  echo 'AWS_LAMBDA_RUNTIME_API is set, but no handler is named: give the image a command like functions/search-by-text.handler.' >&2
  exit 1
fi
export _HANDLER LAMBDA_TASK_ROOT=/app/dist

# Lambda's client waits for events in a thread that keeps Node from exiting, and process 1 is not ended by a
# signal that it does not handle: so the function is a child, to which signals are passed on.
node node_modules/aws-lambda-ric/index.mjs "$_HANDLER" &
child=$!
trap 'kill -TERM "$child" 2>/dev/null || true' TERM INT
status=0
wait "$child" || status=$?
if kill -0 "$child" 2>/dev/null; then # it was a signal that ended the wait
  status=0
  wait "$child" || status=$?
fi
exit "$status"
