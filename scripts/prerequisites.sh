# Sourced by the scripts beside it: what they need on the machine, and an end to whatever they start.
# shellcheck shell=bash

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
rid=linux-x64
# Where the executables are: published for the .NET runtime, unless CISTEPS_TOOL names others (see provide_executables).
tool="$root/artifacts/tool/$rid"
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_SKIP_FIRST_TIME_EXPERIENCE=1

say() { printf '%s\n' "$*"; }

fail() { # fail CODE MESSAGE
    printf '%s: %s\n' "$(basename "$0")" "$2" >&2
    exit "$1"
}

# Runs a command that may be long: its output goes to a log, a line says every few seconds that it still runs.
with_progress() { # with_progress WHAT LOG COMMAND…
    local what="$1" log="$2" started=$SECONDS pid status=0
    shift 2
    mkdir -p "$(dirname "$log")"
    "$@" >"$log" 2>&1 &
    pid=$!
    while kill -0 "$pid" 2>/dev/null; do
        # The shortest wait that ends with the command: tail stops when the process does.
        timeout 8 tail --pid="$pid" -f /dev/null 2>/dev/null || say "  $what … $((SECONDS - started))s"
    done
    wait "$pid" || status=$?
    if [ "$status" -ne 0 ]; then
        tail -n 40 "$log" >&2
        fail 3 "$what failed; the whole log is $log"
    fi
    say "  $what: $((SECONDS - started))s"
}

# Packages are installed when a program is missing, never otherwise.
need() { # need PROGRAM PACKAGE…
    local program="$1" path
    shift
    for path in "$program" "/usr/sbin/$program" "/bin/$program"; do
        command -v "$path" >/dev/null 2>&1 && return 0
    done
    missing+=("$@")
}

install_missing() {
    [ "${#missing[@]}" -eq 0 ] && return 0
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null 2>&1 || fail 2 "these packages are missing: ${missing[*]}; run as root, or install them"
        as_root=(sudo)
    fi
    command -v apt-get >/dev/null 2>&1 || fail 2 "these packages are missing: ${missing[*]}; this machine has no apt-get, install them by hand"
    [ -n "$(find /var/lib/apt/lists -name '*Packages*' -mmin -1440 2>/dev/null | head -n 1)" ] ||
        with_progress "refreshing the package lists" "$logs/apt-update.log" "${as_root[@]}" apt-get update -q
    with_progress "installing ${missing[*]}" "$logs/apt-install.log" \
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
    missing=()
}

engine_answers() { curl -sf --max-time 5 --unix-socket /var/run/docker.sock http://engine/_ping >/dev/null 2>&1; }

engine_pid=""
start_engine() {
    [ -n "${DOCKER_HOST:-}" ] && return 0
    engine_answers && return 0
    [ "$(id -u)" -eq 0 ] || fail 2 "no container engine answers at /var/run/docker.sock, and only root can start one; start it, or run as root"
    setsid dockerd >"$logs/dockerd.log" 2>&1 &
    engine_pid=$!
    local deadline=$((SECONDS + 60))
    until engine_answers; do
        kill -0 "$engine_pid" 2>/dev/null || fail 3 "the container engine ended at once; see $logs/dockerd.log"
        [ "$SECONDS" -lt "$deadline" ] || fail 3 "the container engine did not answer within 60 s; see $logs/dockerd.log"
        read -r -t 0.2 <> <(:) || true
    done
    say "  container engine started"
}

stop_engine() {
    [ -n "$engine_pid" ] || return 0
    kill "$engine_pid" 2>/dev/null && timeout 30 tail --pid="$engine_pid" -f /dev/null
    engine_pid=""
}

common_needs() {
    missing=()
    command -v dotnet >/dev/null 2>&1 || fail 2 "the .NET 10 SDK is missing: install dotnet-sdk-10.0"
    dotnet --list-sdks | grep -q '^10\.' || fail 2 "the .NET 10 SDK is missing, there is only: $(dotnet --list-sdks | tr '\n' ' ')"
    need git git
    need curl curl
    # The sample's base image holds nothing else, so busybox must be static; Debian's plain package is not.
    busybox="$(command -v busybox || true)"
    if [ -z "$busybox" ] || ldd "$busybox" >/dev/null 2>&1; then missing+=(busybox-static); fi
    need docker-registry docker-registry
    engine_answers || [ -n "${DOCKER_HOST:-}" ] || need dockerd docker.io
    [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null 2>&1 || [ "${#missing[@]}" -eq 0 ] || fail 2 "root or sudo is needed to install: ${missing[*]}"
    install_missing
    busybox="$(command -v busybox)"
}

executables=(unit-test image-build reserve-testbed integration-deploy merge certify promote close testbed-pool ci-steps)

# The executables that CISTEPS_TOOL names, as they are: a folder, or the agent tool's archive, with the archive of the command for people beside it.
# Without it those of these sources.
provide_executables() { # provide_executables [NAME…]   the ones that are needed; all of them when none is named
    local given="${CISTEPS_TOOL:-}" executable
    if [ -z "$given" ]; then
        publish_executables
        return
    fi
    [ -e "$given" ] || fail 2 "there is no \"$given\", which CISTEPS_TOOL names: give a folder with the executables, or an archive that build.ps1 pack makes"
    if [ -d "$given" ]; then tool="$(cd "$given" && pwd)"; else unpack_tool "$given"; fi
    [ "$#" -gt 0 ] || set -- "${executables[@]}"
    for executable in "$@"; do
        [ -x "$tool/$executable" ] || fail 2 "there is no executable \"$executable\" in \"$given\", which CISTEPS_TOOL names$(beside "$given" "$executable")"
    done
    say "  executables: $given" >&2
}

# The archive with the command for people that belongs to an agent tool's: ci-steps-cli-linux-x64.zip to ci-steps-linux-x64.zip.
companion() { # companion ARCHIVE
    local name
    name="$(basename "$1")"
    printf '%s/ci-steps-cli-%s' "$(dirname "$1")" "${name#ci-steps-}"
}

beside() { # beside TOOL EXECUTABLE   what to do where an archive has no command for people
    [ -f "$1" ] && [ "$2" = ci-steps ] || return 0
    printf '; put %s, which build.ps1 pack makes too, beside it' "$(basename "$(companion "$1")")"
}

unpack_tool() { # unpack_tool ARCHIVE
    local other
    other="$(companion "$1")"
    tool="$root/artifacts/unpacked/$(basename "$1" .zip)"
    missing=()
    need unzip unzip
    install_missing
    rm -rf "$tool"
    mkdir -p "$tool"
    unpack "$1"
    [ ! -f "$other" ] || unpack "$other"
}

# As an agent does it: executable is what the descriptor lists, whatever the archive says of its files.
unpack() { # unpack ARCHIVE   into the folder of the executables
    local into name
    into="$(mktemp -d "$tool.XXXXXX")"
    unzip -q "$1" -d "$into" 2>/dev/null || { rm -rf "$into"; fail 2 "\"$1\", which CISTEPS_TOOL names, is not a zip archive"; }
    find "$into" -type f -exec chmod a-x {} +
    while read -r name; do [ ! -f "$into/$name" ] || chmod a+x "$into/$name"; done \
        < <(sed -n 's/.*<include name="\([^"]*\)".*/\1/p' "$into/teamcity-plugin.xml")
    cp -a "$into/." "$tool/"
    rm -rf "$into"
}

# Publishes the executables for the .NET runtime, which takes seconds, unless they are newer than everything they are made of.
publish_executables() {
    local stamp="$tool/.published" executable
    if [ -e "$stamp" ] && [ -z "$(find "$root/steps" -newer "$stamp" -type f -not -name '*.lock.json' | head -n 1)" ]; then
        return 0
    fi
    rm -f "$stamp"
    with_progress "publishing the executables" "$logs/publish.log" \
        dotnet msbuild "$root/steps/executables.proj" -nologo -v:m -m:2 -t:Publish -p:Rid="$rid"
    for executable in "${executables[@]}"; do
        [ -s "$tool/$executable" ] || fail 3 "\"$executable\" was not published; see $logs/publish.log"
    done
    touch "$stamp"
}
