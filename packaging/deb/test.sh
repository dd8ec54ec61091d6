#!/usr/bin/env bash
# The packages of dist/ in a clean Debian: lintian, two builds of the same bytes, installation from a signed repository,
# an answer of the service's command as its user, removal without leftovers. Needs root, debootstrap, lintian and curl.
set -euo pipefail
cd "$(dirname "$0")/../.."

suite=${SUITE:-bookworm} mirror=${MIRROR:-http://deb.debian.org/debian}
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT
fail() { echo "deb-test: $*" >&2; exit 1; }
step() { printf -- '--- %s (%s)\n' "$1" "$(date -u +%T)"; }
release() { (cd "$1/packaging/release" && go run . -root ../.. -out "$2" "$3"); }
root=$work/root
inside() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8 "$@"; }

step "build"
release . "$work/one" deb
arch=$(dpkg --print-architecture)
deb=$(echo "$work"/one/hipengine_*_"$arch".deb)

step "build again, from a clone in another place, time zone and language"
git clone -q --shared . "$work/a clone"
git diff HEAD --binary | (cd "$work/a clone" && git apply --allow-empty)
(umask 077; TZ=Asia/Kathmandu LC_ALL=C GOFLAGS=-v release "$work/a clone" "$work/two" deb 2>/dev/null)
for f in "$work"/one/*.deb; do cmp "$f" "$work/two/${f##*/}"; done

step "lintian"
lintian --allow-root --pedantic --display-info --fail-on error,warning,info,pedantic "$work"/one/*.deb

step "a repository, signed with a key for this test"
export GNUPGHOME=$work/gnupg
mkdir -m 700 "$GNUPGHOME"
gpg -q --batch --passphrase '' --quick-generate-key 'Test <test@example.com>' ed25519 sign never 2>/dev/null
gpg -q --batch --armor --export-secret-keys >"$work/key.asc"
RELEASE_KEY=$work/key.asc release . "$work/one" apt-repo

step "a clean $suite"
debootstrap --variant=minbase --include=ca-certificates "$suite" "$root" "$mirror" >"$work/debootstrap.log" 2>&1 || { tail "$work/debootstrap.log"; exit 1; }
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d" # there is no service manager here
chmod 755 "$root/usr/sbin/policy-rc.d"
cp -r "$work/one/apt" "$root/srv/apt"
inside apt-get install -y -qq --no-install-recommends systemd >/dev/null 2>&1 # that it brings things is not the package's doing

state() { inside find / -xdev -path /proc -prune -o -path /srv -prune -o \( -path '/var/lib/apt/*' -o -path '/var/cache/*' -o -path '/var/log/*' \
  -o -path '/var/lib/dpkg/*' -o -path '/var/lib/systemd/deb-systemd-helper-*' -o -path '/etc/*-' -o -name .pwd.lock \) -o -print | sort; }
state >"$work/before"

step "install"
cat >"$root/etc/apt/sources.list.d/hipengine.sources" <<END
Types: deb
URIs: file:/srv/apt
Suites: stable
Components: main
Signed-By: /srv/apt/hipengine-archive-keyring.asc
END
inside apt-get update -qq
inside apt-get install -y -qq --no-install-recommends hipengine >"$work/install.log" 2>&1 || { cat "$work/install.log"; exit 1; }
rm "$root/etc/apt/sources.list.d/hipengine.sources"
[ "$(inside dpkg-query -W -f '${Status}' hipengine)" = "install ok installed" ] || fail "it is not installed"
inside id hipengine | grep -q 'render.*video\|video.*render' || fail "its user is in the wrong groups: $(inside id hipengine)"
[ -L "$root/etc/systemd/system/multi-user.target.wants/hipengine.service" ] || fail "the service is not enabled"
inside systemd-analyze verify hipengine.service || fail "systemd-analyze finds faults in the unit"
inside hipengine version
for f in "$root"/usr/share/man/man1/hipengine*.gz; do
  said=$(LC_ALL=C.UTF-8 MANROFFSEQ='' MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z "$f" 2>&1 >/dev/null)
  [ -z "$said" ] || fail "${f##*/}: $said"
done

step "the service's command as its user"
unit=$root/usr/lib/systemd/system/hipengine.service
read -ra command <<<"$(sed -n 's/^ExecStart=//p' "$unit")"
read -ra environment <<<"$(sed -n 's/^Environment=//p' "$unit")"
for d in lib cache; do inside install -d -o hipengine -g hipengine -m 755 "/var/$d/hipengine"; done
# The port is taken from the environment, so that a server on this machine may have the usual one.
inside "${environment[@]}" HIPENGINE_PORT=0 setpriv --reuid=hipengine --regid=hipengine --init-groups --no-new-privs --bounding-set=-all \
  "${command[@]}" >"$work/server.log" 2>&1 &
server=$!
for _ in $(seq 300); do
  url=$(sed -nE 's/.*serving ember on (http:[^ ]*)\/v1.*/\1/p' "$work/server.log")
  [ -z "$url" ] || break
  kill -0 "$server" 2>/dev/null || { cat "$work/server.log"; fail "the server ended"; }
  sleep 0.1
done
[ -n "$url" ] || { cat "$work/server.log"; fail "the server is not ready"; }
[ "$(ps -o user:20= -p "$server" | tr -d ' ')" = "$(inside id -u hipengine)" ] || fail "it runs as $(ps -o user= -p "$server")"
answer=$(curl -fsS "$url/v1/chat/completions" -H 'Content-Type: application/json' \
  -d '{"model":"ember","messages":[{"role":"user","content":"What is the capital of France?"}]}')
[[ $answer == *'"content":"The capital of France is Paris."'* ]] || fail "the answer is $answer"
inside HIPENGINE_URL="$url" setpriv --reuid=hipengine --regid=hipengine --clear-groups hipengine health
kill -TERM "$server"
wait "$server" || { cat "$work/server.log"; fail "the server ended with $?"; }
server=

step "remove and purge"
echo '# changed' >>"$root/etc/hipengine/config.toml"
inside apt-get remove -y -qq hipengine >/dev/null 2>&1
[ ! -e "$root/usr/bin/hipengine" ] || fail "the program is left"
grep -q '# changed' "$root/etc/hipengine/config.toml" || fail "the configuration went with the program"
inside apt-get purge -y -qq hipengine >/dev/null 2>&1
rm -f "$root"/etc/apt/sources.list.d/hipengine.sources
state | diff "$work/before" - || fail "there are leftovers"
! inside getent passwd hipengine || fail "the user is left"
! grep -rqs hipengine "$root/var/lib/systemd" || fail "systemd remembers it"
echo "deb-test: ok"
