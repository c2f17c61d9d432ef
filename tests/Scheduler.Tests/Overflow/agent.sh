#!/bin/sh
# Stands in for RenderTrust.Agent where only its starting and ending matters: the same arguments, files, lock and exit codes.
# The folder that holds the agents' state steers it: `fail` (its text is the error), `end` (ends as when idle).
command=$1
shift
while [ $# -gt 0 ]; do
  case $1 in
    --state) state=$2 ;;
    --token-file) token=$2 ;;
    --file) file=$2 ;;
  esac
  shift 2
done

if [ "$command" = pool-key ]; then
  [ -f "$file" ] || { umask 077; echo private > "$file"; }
  [ -f "$(dirname "$file")/no-key" ] && { echo "error: the disk is full" >&2; exit 1; }
  printf '{"keyId":"pool-key-1","key":"the public half"}\n'
  exit 0
fi

folder=$(dirname "$state")
mkdir -p "$state"
echo "$$" >> "$folder/started"
exec 9> "$state/agent.lock"
flock -n 9 || { echo "error: Another agent already runs on '$state'." >&2; exit 1; }
[ -f "$folder/fail" ] && { echo "error: $(cat "$folder/fail")" >&2; exit 1; }
if [ ! -f "$state/identity/node.json" ]; then
  mkdir -p "$state/identity"
  cat "$token" >> "$folder/tokens" || exit 1
  echo >> "$folder/tokens"
  echo '{}' > "$state/identity/node.json"
fi
env > "$state/environment"
read -r stat < /proc/$$/stat
set -- ${stat##*) }
shift 19
printf '%s %s\n' "$$" "$1" > "$state/agent.pid.new" && mv "$state/agent.pid.new" "$state/agent.pid"
while [ ! -f "$folder/end" ]; do sleep 0.05; done
exit 0
