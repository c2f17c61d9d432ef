#!/usr/bin/env bash
# Publishes every app and makes its image.
#   RUNTIME_IMAGE=… k3s/images/build.sh TAG [APP…]
# RUNTIME_IMAGE is a base image with the ASP.NET Core 10 runtime, best pinned by digest; the engine must have it or be able to pull it.
# ENGINE is docker unless set (podman works as well); PREFIX is rendertrust unless set. Without TAG nothing is guessed.
set -euo pipefail
root=$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../.." && pwd)
die() { printf 'build.sh: %s\n' "$*" >&2; exit 2; }
[ $# -ge 1 ] || die "no tag. Usage: RUNTIME_IMAGE=IMAGE@sha256:… k3s/images/build.sh TAG [APP…]"
[ -n "${RUNTIME_IMAGE:-}" ] || die "RUNTIME_IMAGE is not set. Name a base image with the ASP.NET Core 10 runtime, pinned by digest."
tag=$1; shift
declare -A project=(
  [gateway]=gateway/Gateway [scheduler]=services/Scheduler [ledger]=services/Ledger [identity]=services/Identity [catalog]=services/Catalog [agent]=edge/Agent
)
apps=("$@"); [ ${#apps[@]} -gt 0 ] || apps=(gateway scheduler ledger identity catalog agent)
context=$(mktemp -d); trap 'rm -rf "$context"' EXIT
for app in "${apps[@]}"; do
  [ -n "${project[$app]:-}" ] || die "there is no app '$app'. Known are: ${!project[*]}."
  [ "$app" != gateway ] || "$root/gateway/dashboard/build"
  dotnet publish "$root/${project[$app]}" -c Release -v q -nologo -o "$context/published/$app"
  "${ENGINE:-docker}" build -q -f "$root/k3s/images/Dockerfile" --target "$app" --build-arg "RUNTIME_IMAGE=$RUNTIME_IMAGE" -t "${PREFIX:-rendertrust}/$app:$tag" "$context"
done
