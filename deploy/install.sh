#!/bin/sh
# make install: puts the program and its service in place and starts nothing.
# An existing configuration is kept as it is.
set -eu

: "${DESTDIR=}" "${PREFIX:?}" "${LIBDIR:?}" "${BINARY:?}"
bin=$DESTDIR$PREFIX/bin
lib=$DESTDIR$LIBDIR
etc=$DESTDIR/etc/btcwatch
config=$etc/config.toml

if [ ! -x "$BINARY" ]; then
	echo "install: there is no $BINARY yet: run make build first (as yourself, not as root)." >&2
	exit 1
fi
if [ -z "$DESTDIR" ] && [ "$(id -u)" != 0 ]; then
	echo "install: writing to $PREFIX and /etc needs root: sudo make install" >&2
	echo "install: or stage it below a folder of yours: make install DESTDIR=FOLDER" >&2
	exit 1
fi
if [ -z "$DESTDIR" ] && ! command -v systemd-sysusers >/dev/null; then
	echo "install: the service needs systemd, and this machine has none. make run starts btcwatch without it." >&2
	exit 1
fi

# file MODE FROM TO: by way of a temporary name, so that a program in use may
# be replaced and a reader never meets half a file.
file() {
	install -d -m 0755 "${3%/*}"
	install -m "$1" "$2" "$3.new"
	mv -f "$3.new" "$3"
}

unit=$(mktemp)
trap 'rm -f "$unit"' EXIT
sed "s|/usr/local/bin/btcwatch|$PREFIX/bin/btcwatch|" deploy/btcwatch.service >"$unit"

file 0755 "$BINARY" "$bin/btcwatch"
file 0644 "$unit" "$lib/systemd/system/btcwatch.service"
file 0644 deploy/btcwatch.sysusers "$lib/sysusers.d/btcwatch.conf"
file 0644 deploy/btcwatch.tmpfiles "$lib/tmpfiles.d/btcwatch.conf"

kept=
if [ -e "$config" ]; then
	kept=" (kept: it was there)"
else
	install -d -m 0750 "$etc"
	install -m 0640 config.example.toml "$config"
fi

if [ -n "$DESTDIR" ]; then
	echo "Staged below $DESTDIR: btcwatch, its service, user, folders and configuration$kept."
	echo "On the machine itself, systemd-sysusers and systemd-tmpfiles --create make the user and the folders."
	exit 0
fi

# The user and the folders are made now, so that check works before the first start.
systemd-sysusers "$lib/sysusers.d/btcwatch.conf"
systemd-tmpfiles --create "$lib/tmpfiles.d/btcwatch.conf"

cat <<NEXT
Installed $PREFIX/bin/btcwatch and its service. Nothing was started. Next:

  1. Say whom to watch, which explorers to ask and whom to tell$kept:
       sudoedit $config
  2. See that all of it works, as the user the service runs as:
       sudo -u btcwatch $PREFIX/bin/btcwatch check --config $config
  3. Start it, now and at every boot:
       sudo systemctl daemon-reload
       sudo systemctl enable --now btcwatch
     After an upgrade: sudo systemctl daemon-reload && sudo systemctl restart btcwatch
  4. Follow what it says:
       journalctl --unit btcwatch --follow
NEXT
