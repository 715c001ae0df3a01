#!/bin/sh
# Fetches promtool, which checks the rules for Prometheus, for the tests alone:
# out of Debian's package into bin/. The package itself is not installed, for it
# would start a Prometheus and bring a dozen others. Where that cannot be done
# the test says so.
set -eu

[ -x bin/promtool ] && exit 0
command -v promtool >/dev/null && exit 0
if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
	echo "promtool: not here, and no Debian to take it from: its test is skipped" >&2
	exit 0
fi

dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
chmod 0755 "$dir"
fetch() { (cd "$dir" && apt-get download --quiet -o APT::Sandbox::User="$(id -un)" prometheus </dev/null); }

echo "promtool: taking it from Debian's package prometheus (19 MB) into bin/"
if ! fetch 2>/dev/null; then
	# The lists of packages may be missing or old; only root may fetch them.
	[ "$(id -u)" = 0 ] && apt-get update --quiet || true
	fetch || { echo "promtool: not to be had: its test is skipped" >&2; exit 0; }
fi
mkdir -p bin
dpkg-deb --fsys-tarfile "$dir"/prometheus_*.deb | tar -xO ./usr/bin/promtool >bin/promtool.new
chmod 0755 bin/promtool.new
mv bin/promtool.new bin/promtool
