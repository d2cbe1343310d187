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

# The engine that the steps find: docker's own order, then sockets that it does not look for (steps/Images/Engine/EngineLocation.cs).
# Sets engine_address, engine_certificates (a folder; empty: no TLS) and engine_source (empty when nobody named an engine).
locate_engine() {
    local configuration="${DOCKER_CONFIG:-${HOME:-}/.docker}" context="" id meta socket
    engine_address="${DOCKER_HOST:-}" engine_source=DOCKER_HOST engine_certificates="${DOCKER_CERT_PATH:-${DOCKER_TLS_VERIFY:+$configuration}}"
    [ -z "$engine_address" ] || return 0
    context="${DOCKER_CONTEXT:-}" engine_source="DOCKER_CONTEXT \"$context\""
    if [ -z "$context" ] && [ -f "$configuration/config.json" ]; then
        context="$(tr -d '\n' <"$configuration/config.json" | sed -n 's/.*"currentContext"[[:space:]]*:[[:space:]]*"\([^"]*\)".*/\1/p')"
        engine_source="the context \"$context\" of $configuration/config.json"
    fi
    if [ -n "$context" ] && [ "$context" != default ]; then
        id="$(printf %s "$context" | sha256sum | cut -d ' ' -f 1)"
        meta="$configuration/contexts/meta/$id/meta.json" engine_certificates="$configuration/contexts/tls/$id/docker"
        [ -d "$engine_certificates" ] || engine_certificates=""
        [ -f "$meta" ] || fail 2 "there is no \"$meta\", which $engine_source means; see docker context ls"
        engine_address="$(tr -d '\n' <"$meta" | sed -n 's/.*"docker"[[:space:]]*:[[:space:]]*{[^}]*"Host"[[:space:]]*:[[:space:]]*"\([^"]*\)".*/\1/p')"
        [ -n "$engine_address" ] || fail 2 "\"$meta\", which $engine_source means, names no engine"
        return 0
    fi
    engine_source=""
    for socket in /var/run/docker.sock ${XDG_RUNTIME_DIR:+"$XDG_RUNTIME_DIR/docker.sock"} "${HOME:-}/.docker/run/docker.sock" \
        ${XDG_RUNTIME_DIR:+"$XDG_RUNTIME_DIR/podman/podman.sock"} /run/podman/podman.sock; do
        engine_address="unix://$socket"
        [ ! -e "$socket" ] || return 0
    done
    engine_address=unix:///var/run/docker.sock
}

# The engine's own API, so that no docker client is needed.
engine_curl() { # engine_curl PATH [CURL-ARGUMENT…]
    local path="$1" base to=()
    shift
    locate_engine
    case "$engine_address" in
        unix://*) base=http://engine to=(--unix-socket "${engine_address#unix://}") ;;
        tcp://* | http://* | https://*)
            base="http://${engine_address#*://}"
            if [ -n "$engine_certificates" ]; then
                base="https://${engine_address#*://}"
                to=(--cacert "$engine_certificates/ca.pem" --cert "$engine_certificates/cert.pem" --key "$engine_certificates/key.pem")
            fi ;;
        *) return 2 ;;
    esac
    curl "${to[@]}" "$@" "$base$path"
}

engine_answers() { engine_curl /_ping -sf --max-time 5 >/dev/null 2>&1; }

engine_pid=""
start_engine() {
    locate_engine
    # Only the steps themselves speak by ssh.
    case "$engine_address" in ssh://*) return 0 ;; esac
    engine_answers && return 0
    [ -z "$engine_source" ] || fail 3 "no container engine answers at \"$engine_address\" ($engine_source); start it, or name another"
    [ "$(id -u)" -eq 0 ] || fail 2 "no container engine answers at \"$engine_address\", and only root can start one; start it, or run as root"
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
    locate_engine
    [ -n "$engine_source" ] || engine_answers || need dockerd docker.io
    [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null 2>&1 || [ "${#missing[@]}" -eq 0 ] || fail 2 "root or sudo is needed to install: ${missing[*]}"
    install_missing
    busybox="$(command -v busybox)"
}

executables=(unit-test image-build reserve-testbed integration-deploy merge certify promote testbed-pool run-chain)

# The executables that CISTEPS_TOOL names, as they are: a folder, or the agent tool's archive. Without it those of these sources.
provide_executables() { # provide_executables [NAME…]   the ones that are needed; all of them when none is named
    local given="${CISTEPS_TOOL:-}" executable
    if [ -z "$given" ]; then
        publish_executables
        return
    fi
    [ -e "$given" ] || fail 2 "there is no \"$given\", which CISTEPS_TOOL names: give a folder with the executables, or the archive that build.ps1 pack makes"
    if [ -d "$given" ]; then tool="$(cd "$given" && pwd)"; else unpack_tool "$given"; fi
    [ "$#" -gt 0 ] || set -- "${executables[@]}"
    for executable in "$@"; do
        [ -x "$tool/$executable" ] || fail 2 "there is no executable \"$executable\" in \"$given\", which CISTEPS_TOOL names"
    done
    say "  executables: $given" >&2
}

# As an agent does it: executable is what the descriptor lists, whatever the archive says of its files.
unpack_tool() { # unpack_tool ARCHIVE
    tool="$root/artifacts/unpacked/$(basename "$1" .zip)"
    missing=()
    need unzip unzip
    install_missing
    rm -rf "$tool"
    mkdir -p "$tool"
    unzip -q "$1" -d "$tool" 2>/dev/null || fail 2 "\"$1\", which CISTEPS_TOOL names, is no zip archive"
    find "$tool" -type f -exec chmod a-x {} +
    local name
    while read -r name; do [ ! -f "$tool/$name" ] || chmod a+x "$tool/$name"; done \
        < <(sed -n 's/.*<include name="\([^"]*\)".*/\1/p' "$tool/teamcity-plugin.xml")
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
