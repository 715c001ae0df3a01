#!/bin/sh
# Fetches the receivers that channels are tested against, for the tests alone:
# Alertmanager and rsyslog, out of Debian's packages into bin/receivers/. The
# packages themselves are not installed, for they would start services. Where
# that cannot be done the tests say so.
set -eu

dest=bin/receivers
[ -x $dest/alertmanager ] && [ -x $dest/rsyslogd ] && exit 0
if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
	echo "receivers: no Debian here to take Alertmanager and rsyslog from: their tests are skipped" >&2
	exit 0
fi

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
chmod 0755 "$dir"
packages="prometheus-alertmanager rsyslog libestr0 libfastjson4"
fetch() { (cd "$dir" && apt-get download --quiet -o APT::Sandbox::User="$(id -un)" $packages </dev/null); }

echo "receivers: taking Alertmanager and rsyslog from Debian's packages (12 MB) into $dest/"
if ! fetch 2>/dev/null; then
	# The lists of packages may be missing or old; only root may fetch them.
	[ "$(id -u)" = 0 ] && apt-get update --quiet || true
	fetch || { echo "receivers: not to be had: their tests are skipped" >&2; exit 0; }
fi
for package in "$dir"/*.deb; do dpkg-deb -x "$package" "$dir/root"; done
rm -rf $dest.new && mkdir -p $dest.new
# Debian's Alertmanager reads its templates from below /usr/share and ends where
# they are not: let it look where it is started, by a path of the same length.
LC_ALL=C sed 's|/usr/share/prometheus/alertmanager|./////////////////////////////////|g' "$dir"/root/usr/bin/prometheus-alertmanager >$dest.new/alertmanager
chmod 0755 $dest.new/alertmanager
cp "$dir"/root/usr/share/prometheus/alertmanager/*.tmpl $dest.new/
cp "$dir"/root/usr/sbin/rsyslogd "$dir"/root/usr/lib/*/rsyslog/*.so $dest.new/
cp "$dir"/root/usr/lib/*/libestr.so.0 "$dir"/root/usr/lib/*/libfastjson.so.4 $dest.new/
rm -rf $dest && mv $dest.new $dest
