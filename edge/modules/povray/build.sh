#!/bin/sh
# Builds the povray module from Debian packages as an OCI image, without needing a container engine.
#
#   build.sh [--out DIR] [--push HOST:PORT] [--force]
#
# DIR (default: .rendertrust/modules/povray) becomes an OCI image layout plus image.json.
# --push also uploads it to a registry. The last line printed is the image reference pinned by digest.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)
out=$root/.rendertrust/modules/povray
registry=
force=
name=rendertrust/povray
packages=povray,povray-includes,libc-bin,coreutils,dash,sed,jq

say() { printf '%s\n' "$*" >&2; }
die() { say "build.sh: $*"; exit 1; }

while [ $# -gt 0 ]; do
  case "$1" in
    --out) [ $# -ge 2 ] || die "--out needs a folder"; out=$2; shift 2 ;;
    --push) [ $# -ge 2 ] || die "--push needs HOST:PORT"; registry=$2; shift 2 ;;
    --force) force=1; shift ;;
    *) die "unknown argument '$1' (known: --out DIR, --push HOST:PORT, --force)" ;;
  esac
done

digest_of() { sha256sum "$1" | cut -d' ' -f1; }

build() {
  command -v mmdebstrap > /dev/null || die "mmdebstrap is missing: apt-get install mmdebstrap"
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  trap 'exit 130' INT TERM

  # The mirrors are whatever apt on this machine uses for its own distribution; third-party sources stay out.
  . /etc/os-release
  case "$ID" in debian) origin=Debian ;; ubuntu) origin=Ubuntu ;; *) die "needs Debian or Ubuntu, this is $ID" ;; esac
  list_sources() {
    apt-get indextargets --format 'deb $(REPO_URI) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' "Origin: $origin" | sort -u
  }
  list_sources > "$work/sources.list"
  if ! [ -s "$work/sources.list" ]; then
    [ "$(id -u)" = 0 ] || die "apt has no package lists yet: run 'sudo apt-get update' once"
    apt-get update > "$work/update.log" 2>&1 || { cat "$work/update.log" >&2; die "apt-get update failed"; }
    list_sources > "$work/sources.list"
  fi

  say "unpacking $packages"
  mmdebstrap --quiet --variant=extract --include="$packages" "$VERSION_CODENAME" "$work/all.tar" "$work/sources.list" > "$work/log" 2>&1 ||
    { cat "$work/log" >&2; die "mmdebstrap failed"; }

  # Fixed order, owner and time: the same packages give the same digest on every machine.
  mkdir "$work/rootfs"
  tar -x -f "$work/all.tar" -C "$work/rootfs" --exclude='./dev/*' --no-same-owner
  cd "$work/rootfs"
  rm -rf var/log var/cache var/lib/apt var/lib/dpkg usr/share/doc usr/share/doc-base usr/share/man usr/share/info usr/share/locale \
    usr/share/lintian usr/share/bug usr/share/menu usr/share/gdb etc/resolv.conf etc/hostname etc/ld.so.cache
  mkdir -p job/in job/out tmp proc sys dev rendertrust
  : > job/unit.json
  cp "$here/entrypoint" rendertrust/entrypoint
  chmod 0755 rendertrust/entrypoint
  printf 'root:x:0:0:root:/:/usr/sbin/nologin\nnobody:x:65534:65534:nobody:/tmp:/usr/sbin/nologin\n' > etc/passwd
  printf 'root:x:0:\nnogroup:x:65534:\n' > etc/group
  find . -perm /6000 -type f -exec chmod a-s {} +
  tar -c -f "$work/layer.tar" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 --format=gnu .
  cd "$root"

  say "writing the image"
  layout=$work/layout
  mkdir -p "$layout/blobs/sha256"
  diff_id=$(digest_of "$work/layer.tar")
  gzip -n -1 < "$work/layer.tar" > "$work/layer.tgz"
  layer=$(digest_of "$work/layer.tgz")
  layer_bytes=$(stat -c %s "$work/layer.tgz")
  mv "$work/layer.tgz" "$layout/blobs/sha256/$layer"
  arch=$(dpkg --print-architecture)

  printf '{"created":"1970-01-01T00:00:00Z","architecture":"%s","os":"linux","config":{"User":"65534:65534","Env":["PATH=/usr/bin:/bin","HOME=/tmp","LC_ALL=C"],"Entrypoint":["/rendertrust/entrypoint"],"WorkingDir":"/tmp"},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
    "$arch" "$diff_id" > "$work/config"
  config=$(digest_of "$work/config")
  config_bytes=$(stat -c %s "$work/config")
  mv "$work/config" "$layout/blobs/sha256/$config"

  printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":%s},"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:%s","size":%s}]}' \
    "$config" "$config_bytes" "$layer" "$layer_bytes" > "$work/manifest"
  manifest=$(digest_of "$work/manifest")
  manifest_bytes=$(stat -c %s "$work/manifest")
  mv "$work/manifest" "$layout/blobs/sha256/$manifest"

  printf '{"imageLayoutVersion":"1.0.0"}' > "$layout/oci-layout"
  printf '{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:%s","size":%s}]}' \
    "$manifest" "$manifest_bytes" > "$layout/index.json"
  printf '{"name":"%s","digest":"sha256:%s","config":"sha256:%s","layer":"sha256:%s","inputs":"%s"}\n' "$name" "$manifest" "$config" "$layer" "$inputs" > "$layout/image.json"
  chmod -R a+rX "$layout"

  mkdir -p "$(dirname "$out")"
  rm -rf "$out"
  mv "$layout" "$out"
  rm -rf "$work"
  trap - EXIT
}

field() { sed -n "s/.*\"$1\":\"\([^\"]*\)\".*/\1/p" "$out/image.json"; }

upload_blob() {
  digest=$1
  if curl -fsS -o /dev/null -I "http://$registry/v2/$name/blobs/$digest" 2> /dev/null; then return; fi
  location=$(curl -fsS -o /dev/null -D - -X POST "http://$registry/v2/$name/blobs/uploads/" | tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
  [ -n "$location" ] || die "registry $registry did not open an upload"
  case "$location" in /*) location=http://$registry$location ;; esac
  case "$location" in *\?*) location="$location&digest=$digest" ;; *) location="$location?digest=$digest" ;; esac
  curl -fsS -o /dev/null -X PUT -H 'Content-Type: application/octet-stream' --data-binary "@$out/blobs/sha256/${digest#sha256:}" "$location"
}

push() {
  command -v curl > /dev/null || die "curl is missing: apt-get install curl"
  curl -fsS -o /dev/null "http://$registry/v2/" || die "no registry answers at http://$registry/v2/ (start one: docker-registry serve CONFIG)"
  upload_blob "$(field config)"
  upload_blob "$(field layer)"
  digest=$(field digest)
  curl -fsS -o /dev/null -X PUT -H 'Content-Type: application/vnd.oci.image.manifest.v1+json' \
    --data-binary "@$out/blobs/sha256/${digest#sha256:}" "http://$registry/v2/$name/manifests/$digest"
}

inputs=$(cat "$here/build.sh" "$here/entrypoint" | sha256sum | cut -d' ' -f1)
if [ -n "$force" ] || ! [ -f "$out/image.json" ] || [ "$(field inputs)" != "$inputs" ]; then build; fi
if [ -n "$registry" ]; then push; fi
printf '%s@%s\n' "${registry:+$registry/}$name" "$(field digest)"
