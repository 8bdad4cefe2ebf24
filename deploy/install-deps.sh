#!/bin/sh
# Installs what agentbus needs and this system lacks: servers for the local stack, more for tests.
# Says nothing and takes milliseconds when nothing is missing. No service is started and no database
# cluster is created: the stack runs private servers of its own.
#
#   deploy/install-deps.sh              Redis and PostgreSQL, unless REDIS_URL / DATABASE_URL name servers
#   deploy/install-deps.sh --for-tests  both in any case, the C compiler the race detector needs, promtool,
#                                       which tests the alert rules, a Redis that has WAITAOF, a browser, which
#                                       tests the live page, and Python's client of Redis, which the examples in
#                                       pkg/events/examples/python use
#   deploy/install-deps.sh --dev        the same, the typeface of the screenshots, and Node.js with npm, which
#                                       run the validators of the API documents
set -eu

for_tests= dev=
for arg; do
    case $arg in
    --for-tests) for_tests=1 ;;
    --dev) for_tests=1 dev=1 ;;
    *)
        sed -n '2,12s/^# \{0,1\}//p' "$0"
        case $arg in -h | --help) exit 0 ;; esac
        echo "unknown argument: $arg" >&2
        exit 2
        ;;
    esac
done

have() { command -v "$1" >/dev/null 2>&1; }

# PostgreSQL's server programs are usually not in PATH.
have_postgres() {
    have initdb && return
    for initdb in /usr/lib/postgresql/*/bin/initdb /usr/pgsql-*/bin/initdb \
        /opt/homebrew/opt/postgresql@*/bin/initdb /usr/local/opt/postgresql@*/bin/initdb; do
        [ -x "$initdb" ] && return
    done
    return 1
}

have_browser() { have chromium || have chromium-browser || have google-chrome; }

# Debian's package serves /usr/bin/python3, which need not be the first python3 of PATH.
have_python_redis() { [ -d /usr/lib/python3/dist-packages/redis ] || python3 -c 'import redis' 2>/dev/null; }

# fetch WHAT FUNCTION runs the function in a folder of its own and shows what it wrote when it fails.
fetch() (
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    chmod 755 "$work" # apt fetches as a user of its own
    cd "$work"
    echo "fetching $1"
    "$2" >log 2>&1 || {
        cat log >&2
        echo "could not get $1 out of Debian's packages, see above" >&2
        return 1
    }
)

# promtool alone is taken out of Debian's package: installed, that brings a server, a user and a dozen
# packages of its web page, 100 MB that no test needs. A copy in the checkout needs no root either.
tools=$(cd "$(dirname "$0")/.." && pwd)/bin/tools
have_promtool() { have promtool || [ -x "$tools/promtool" ]; }
fetch_promtool() {
    { apt-get download -qq prometheus || { as_root apt-get update -qq && apt-get download -qq prometheus; }; } &&
        dpkg-deb --fsys-tarfile prometheus_*.deb | tar -xf - ./usr/bin/promtool &&
        mkdir -p "$tools" &&
        mv usr/bin/promtool "$tools/promtool"
}

# The durability class fsync is tested on a Redis with WAITAOF, 7.2 or newer; Debian 12 has 7.0. Debian 13's
# stands beside it, in the user's cache where pkg/devserver looks: the program, the libraries it is linked to
# and their loader. apt takes them from the mirror of this system's own packages and checks the signatures.
new_redis=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/agentbus/redis-8
want_new_redis() {
    grep -qs '^VERSION_CODENAME=bookworm$' /etc/os-release || return # newer ones have it
    [ ! -x "$new_redis/redis-server" ] || return
    ! have redis-server || case $(redis-server --version) in *v=[0-6].* | *v=7.[01].*) ;; *) return 1 ;; esac
}
fetch_new_redis() {
    mirror=$(apt-get update --print-uris | sed -n "s|^'\(.*\)/dists/bookworm/InRelease'.*|\1|p" | head -n 1)
    [ -n "$mirror" ] || { echo "no source of apt has the suite bookworm"; return 1; }
    mkdir -p state/lists/partial cache/archives/partial redis-8 "$(dirname "$new_redis")" || return
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror trixie main" >sources.list
    # Nothing of this system's packages, and none of what its configuration does after an update.
    cat >apt.conf <<END
Dir::State "$PWD/state";
Dir::State::status "/dev/null";
Dir::Cache "$PWD/cache";
Dir::Etc::sourcelist "$PWD/sources.list";
Dir::Etc::sourceparts "-";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
#clear APT::Update;
END
    apt-get -c apt.conf update || return
    # The libraries that the program depends on, and those that they depend on.
    libraries=$(apt-cache -c apt.conf depends --important redis-tools | sed -n 's/^ *Depends: \(lib.*\)/\1/p')
    # shellcheck disable=SC2046,SC2086 # one word per package
    apt-get -c apt.conf download redis-tools $(apt-cache -c apt.conf depends --important --recurse $libraries | grep -E '^z?lib') || return
    for package in *.deb; do dpkg-deb -x "$package" root || return; done
    cp -a root/usr/lib/*/*.so.* redis-8 || return
    cp root/usr/bin/redis-check-rdb redis-8/program || return
    cat >redis-8/redis-server <<'END'
#!/bin/sh
here=${0%/*}
exec "$here"/ld-linux*.so.* --library-path "$here" --argv0 redis-server "$here/program" "$@"
END
    chmod 755 redis-8/redis-server
    redis-8/redis-server --version && rm -rf "$new_redis" && mv redis-8 "$new_redis"
}
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# Packages by their Debian names.
missing=
need() { missing="$missing $*"; }
[ -z "$for_tests" ] && [ -n "${REDIS_URL:-}" ] || have redis-server || need redis-server
[ -z "$for_tests" ] && [ -n "${DATABASE_URL:-}" ] || have_postgres || need postgresql
if [ -n "$for_tests" ]; then
    have gcc || have cc || need gcc
    # The compiler comes without the C library's headers on a minimal Debian.
    have apt-get && { [ -e /usr/include/stdlib.h ] || need libc6-dev; }
fi
have_typeface() { [ -d /usr/share/fonts/opentype/inter ] || [ -d /usr/share/fonts/truetype/inter ]; }
if [ -n "$dev" ]; then
    if have apt-get; then have_typeface || need fonts-inter; fi
    have node || need nodejs
    have npm || need npm
fi
if [ -n "$for_tests" ]; then
    have_browser || need chromium
    have_python_redis || need python3-redis
    if have_promtool; then :; elif have apt-get; then fetch "promtool" fetch_promtool; else need promtool; fi
    if want_new_redis; then fetch "Redis 8" fetch_new_redis; fi
fi
[ -n "$missing" ] || exit 0

if ! have apt-get; then
    for package in $missing; do
        case $package in
        redis-server) hint="Redis 7.0.5 or newer (macOS: brew install redis), or set REDIS_URL to a running server" ;;
        postgresql) hint="PostgreSQL 14 or newer (macOS: brew install postgresql@17), or set DATABASE_URL to a running server" ;;
        gcc) hint="a C compiler, for the race detector (macOS: xcode-select --install)" ;;
        promtool) hint="promtool, for the tests of the alert rules (macOS: brew install prometheus)" ;;
        python3-redis) hint="Python 3 with its package redis, for the examples in Python (pip install redis)" ;;
        nodejs) hint="Node.js 18.18 or newer (macOS: brew install node), for the validators of the API documents" ;;
        npm) hint="npm, which comes with Node.js, for the validators of the API documents" ;;
        chromium) hint="Chromium or Chrome, for the tests of the live page" ;;
        *) hint=$package ;;
        esac
        echo "missing: $hint" >&2
    done
    exit 1
fi

if [ "$(id -u)" != 0 ]; then
    if ! have sudo; then
        echo "missing:$missing; run this as root: apt-get install --no-install-recommends$missing" >&2
        exit 1
    fi
    echo "installing$missing (with sudo)"
    exec sudo env REDIS_URL="${REDIS_URL:-}" DATABASE_URL="${DATABASE_URL:-}" XDG_CACHE_HOME="${new_redis%/*/*}" "$0" "$@"
fi
[ -n "${SUDO_USER:-}" ] || echo "installing$missing"

log=$(mktemp)
policy=/usr/sbin/policy-rc.d
cluster=/etc/postgresql-common/createcluster.d/agentbus-install.conf
restore() {
    rm -f "$cluster" "$log"
    rmdir "${cluster%/*}" 2>/dev/null || true # stays where others have files in it
    if [ -e "$policy.agentbus" ]; then mv -f "$policy.agentbus" "$policy"; else rm -f "$policy"; fi
}
# What was there is put back, whatever happens; what a killed run of this script left is not what was there.
if [ -e "$policy" ] && ! grep -q "agentbus" "$policy"; then mv "$policy" "$policy.agentbus"; fi
trap restore EXIT
trap 'exit 130' INT TERM HUP
printf '#!/bin/sh\n# for the time of agentbus/deploy/install-deps.sh: no service may be started\nexit 101\n' >"$policy"
chmod 755 "$policy"
mkdir -p "${cluster%/*}"
echo "create_main_cluster = false" >"$cluster"

install() {
    # shellcheck disable=SC2086 # one word per package
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq -o DPkg::Lock::Timeout=120 --no-install-recommends $missing >"$log" 2>&1
}
# The package lists are fetched only when the ones at hand, if any, do not do.
install || { apt-get update -qq >"$log" 2>&1 && install; } || {
    cat "$log" >&2
    echo "could not install$missing with apt-get, see above" >&2
    exit 1
}
