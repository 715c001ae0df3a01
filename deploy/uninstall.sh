#!/bin/sh
# make uninstall: removes the program and its service. The configuration, the
# records in /var/lib/btcwatch and the user that owns them stay.
set -eu

: "${DESTDIR=}" "${PREFIX:?}" "${LIBDIR:?}"

if [ -z "$DESTDIR" ] && [ "$(id -u)" != 0 ]; then
	echo "uninstall: this needs root: sudo make uninstall" >&2
	exit 1
fi
if [ -z "$DESTDIR" ] && systemctl is-active --quiet btcwatch 2>/dev/null; then
	echo "uninstall: btcwatch is running, and nobody would be watching. If you mean it, stop it first:" >&2
	echo "    sudo systemctl disable --now btcwatch" >&2
	exit 1
fi

rm -f "$DESTDIR$PREFIX/bin/btcwatch" \
	"$DESTDIR$LIBDIR/systemd/system/btcwatch.service" \
	"$DESTDIR$LIBDIR/sysusers.d/btcwatch.conf" \
	"$DESTDIR$LIBDIR/tmpfiles.d/btcwatch.conf"
echo "Removed. Kept: $DESTDIR/etc/btcwatch (configuration), $DESTDIR/var/lib/btcwatch (records), the user btcwatch."
