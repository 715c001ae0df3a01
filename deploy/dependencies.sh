#!/bin/sh
# Installs what building, testing and the private Postgres need and this machine
# lacks. Does nothing, quickly, where nothing is missing; asks nothing.
set -eu

# Names the Debian packages that are missing, one a line.
missing() {
	postgres_programs || echo postgresql
	command -v systemd-analyze >/dev/null || echo systemd
	command -v gcc >/dev/null || printf '%s\n' gcc libc6-dev # go test -race needs cgo
	[ -e /etc/ssl/certs/ca-certificates.crt ] || echo ca-certificates
}

# The server's programs are outside PATH on Debian, one folder a version.
postgres_programs() {
	for initdb in /usr/lib/postgresql/*/bin/initdb "$(command -v initdb || true)"; do
		[ -x "$initdb" ] && [ -x "${initdb%/*}/postgres" ] && return 0
	done
	return 1
}

# Debian's postgresql package makes a cluster of its own and starts it at every
# boot. Only the programs are wanted here, so that is turned off before the
# package comes; a machine that has the server already is left as it is.
without_own_cluster() {
	apt_install postgresql-common
	settings=/etc/postgresql-common/createcluster.conf
	printf '\n# Set by btcwatch, which needs the programs only.\ncreate_main_cluster = false\n' >>"$settings"
	echo "dependencies: postgresql will make no cluster of its own ($settings says so)"
}

apt_install() {
	DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends \
		-o Dpkg::Use-Pty=0 "$@" </dev/null
}

packages=$(missing | tr '\n' ' ')
[ -n "$packages" ] || exit 0

if ! command -v apt-get >/dev/null; then
	echo "dependencies: missing here: ${packages}(Debian's names)." >&2
	echo "dependencies: this system has no apt-get; install what they hold with its own packages, then try again." >&2
	exit 1
fi
if [ "$(id -u)" != 0 ]; then
	echo "dependencies: missing here: $packages" >&2
	echo "dependencies: installing them needs root. Run this, then try again:" >&2
	echo "    sudo sh deploy/dependencies.sh" >&2
	exit 1
fi

echo "dependencies: installing $packages"
apt-get update --quiet
case " $packages" in *" postgresql "*) without_own_cluster ;; esac
# shellcheck disable=SC2086 # a list of names
apt_install $packages

still=$(missing | tr '\n' ' ')
if [ -n "$still" ]; then
	echo "dependencies: installed, and yet missing: $still" >&2
	exit 1
fi
