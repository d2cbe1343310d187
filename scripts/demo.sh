#!/usr/bin/env bash
# The main job from end to end on this machine: a push to a private branch, the branch chain, the merge, the release chain, production;
# then a push whose integration test fails. Needs the .NET 10 SDK, and root or sudo; no cluster, no registry, no TeamCity.
#   scripts/demo.sh [--keep]      --keep leaves everything up and says how to look around
set -euo pipefail
# shellcheck source=scripts/prerequisites.sh
. "$(dirname "$0")/prerequisites.sh"

keep=""
for argument in "$@"; do
    case "$argument" in
        --keep) keep=yes ;;
        -h | --help) sed -n '2,4s/^# \{0,1\}//p' "$0"; exit 0 ;;
        *) fail 2 "unknown argument \"$argument\"; there is only --keep" ;;
    esac
done

demo="$root/artifacts/demo"
logs="$demo/logs"
state="$demo/state"
port="${CISTEPS_DEMO_REGISTRY_PORT:-5050}"
registry="localhost:$port"
registry_pid=""
webhook_pid=""
run_pid=""

stop_everything() {
    local status=$?
    trap '' INT TERM
    if [ -n "$run_pid" ] && kill -0 "$run_pid" 2>/dev/null; then
        kill -TERM "$run_pid" 2>/dev/null || true
        timeout 60 tail --pid="$run_pid" -f /dev/null || kill -KILL "$run_pid" 2>/dev/null || true
    fi
    if [ -n "$keep" ] && [ "$status" -eq 0 ]; then return; fi
    say "stopping what the demo started"
    if [ -x "$tool/ci-steps" ] && [ -d "$state" ]; then "$tool/ci-steps" sandbox down --state "$state" >>"$logs/sandbox.log" 2>&1 || status=3; fi
    remove_images
    [ -z "$webhook_pid" ] || kill "$webhook_pid" 2>/dev/null || true
    [ -z "$registry_pid" ] || kill "$registry_pid" 2>/dev/null || true
    stop_engine
    exit "$status"
}
trap stop_everything EXIT
trap 'exit 130' INT TERM

# A run that was kept, or killed outright, is ended before the next begins.
end_earlier_run() {
    local pidfile pid
    if [ -x "$tool/ci-steps" ] && [ -d "$state" ]; then "$tool/ci-steps" sandbox down --state "$state" >/dev/null 2>&1 || true; fi
    for pidfile in "$demo"/*.pid; do
        [ -e "$pidfile" ] || continue
        pid="$(cat "$pidfile")"
        # A process id may belong to someone else by now: only what has this folder on its command line is ours.
        if grep -qz -- "$demo" "/proc/$pid/cmdline" 2>/dev/null; then
            kill "$pid" 2>/dev/null || true
            timeout 10 tail --pid="$pid" -f /dev/null || true
        fi
    done
}

port_is_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

wait_for_http() { # wait_for_http URL WHAT
    local deadline=$((SECONDS + 20))
    until curl -sf --max-time 2 -o /dev/null "$1"; do
        [ "$SECONDS" -lt "$deadline" ] || fail 3 "$2 does not answer at $1"
        read -r -t 0.1 <> <(:) || true
    done
}

start_registry() {
    port_is_taken "$port" && fail 3 "port $port is taken, the demo's registry cannot listen there; stop what uses it, or set CISTEPS_DEMO_REGISTRY_PORT"
    mkdir -p "$demo/registry"
    cat >"$demo/registry.yml" <<YAML
version: 0.1
log: { level: warn }
storage: { filesystem: { rootdirectory: $demo/registry }, delete: { enabled: true } }
http: { addr: 127.0.0.1:$port }
YAML
    setsid docker-registry serve "$demo/registry.yml" >"$logs/registry.log" 2>&1 &
    registry_pid=$!
    echo "$registry_pid" >"$demo/registry.pid"
    wait_for_http "http://$registry/v2/" "the registry"
    say "  registry at $registry"
}

engine() { # engine METHOD PATH [CURL-ARGUMENT…]
    local method="$1" path="$2"
    shift 2
    engine_curl "$path" -sS --fail-with-body --max-time 120 -X "$method" "$@"
}

# Its containers and its registry are this machine's.
need_local_engine() {
    locate_engine
    case "$engine_address" in
        unix://* | tcp://localhost* | tcp://127.* | tcp://\[::1\]*) say "  engine: $engine_address${engine_source:+ ($engine_source)}" ;;
        *) fail 2 "the demo needs an engine on this machine, and $engine_source names \"$engine_address\"" ;;
    esac
}

# The engine forgets the images of the demo's registry; other images are none of ours.
remove_images() {
    local reference
    engine_answers || return 0
    for reference in $(engine GET /images/json 2>/dev/null | grep -oE "\"$registry/[^\"]+\"" | tr -d '"' | sort -u); do
        engine DELETE "/images/${reference}?force=true" >/dev/null 2>&1 || true
    done
}

push_image() { # push_image REPOSITORY TAG
    local answer
    answer="$(engine POST "/images/$registry/$1/push?tag=$2" -H "X-Registry-Auth: e30=")"
    case "$answer" in *'"errorDetail"'*) fail 3 "pushing $registry/$1:$2: $answer" ;; esac
}

make_base_image() {
    local files="$demo/base" applet
    mkdir -p "$files/bin" "$files/tmp" "$files/etc"
    chmod 1777 "$files/tmp"
    cp "$busybox" "$files/bin/busybox"
    for applet in $("$busybox" --list); do
        [ "$applet" = busybox ] || ln -sf busybox "$files/bin/$applet"
    done
    printf 'root:x:0:0::/:/bin/sh\nservice:x:1000:1000::/:/bin/sh\n' >"$files/etc/passwd"
    tar -C "$files" --owner=0 --group=0 --sort=name --mtime=@0 -cf "$demo/base.tar" .
    engine POST "/images/create?fromSrc=-&repo=$registry/base/busybox&tag=1" -T "$demo/base.tar" -H 'Content-Type: application/x-tar' >/dev/null
    push_image base/busybox 1
    say "  base image $registry/base/busybox:1"
}

make_quotes_image() {
    tar -C "$demo/work/quotes" -cf "$demo/quotes.tar" Dockerfile www
    local answer
    answer="$(engine POST "/build?t=$registry/quotes:1-production&buildargs=%7B%22REGISTRY%22%3A%22localhost%3A$port%22%7D" \
        -T "$demo/quotes.tar" -H 'Content-Type: application/x-tar')"
    case "$answer" in *'"errorDetail"'*) fail 3 "building the quotes image: $answer" ;; esac
    push_image quotes 1-production
    say "  dependent service quotes, production ready at $registry/quotes:1-production"
}

commit() { git -C "$demo/work" -c user.name="Demo Developer" -c user.email=developer@example.org commit -qam "$1"; }

make_origin() {
    git init -q --bare -b main "$demo/origin.git"
    cp -r "$root/scripts/sample" "$demo/work"
    grep -rlF registry.example "$demo/work" | xargs sed -i "s#registry\.example#$registry#g"
    git init -q -b main "$demo/work"
    git -C "$demo/work" add -A
    commit "A greeter and its quotes service"
    git -C "$demo/work" remote add origin "$demo/origin.git"
    git -C "$demo/work" push -q origin main
    say "  origin $demo/origin.git"
}

start_webhook() {
    mkdir -p "$demo/webhook/cgi-bin" "$demo/notifications"
    cat >"$demo/webhook/cgi-bin/greeters" <<'CGI'
#!/bin/sh
# Keeps each notification as a file of its own.
cat >"$NOTIFICATIONS/$$.part" && mv "$NOTIFICATIONS/$$.part" "$NOTIFICATIONS/$$.json"
printf 'Content-Type: text/plain\r\n\r\nthank you\n'
CGI
    chmod +x "$demo/webhook/cgi-bin/greeters"
    local try
    for try in 0 1 2 3 4 5 6 7 8 9; do
        webhook_port=$((port + 1 + try))
        port_is_taken "$webhook_port" || break
    done
    NOTIFICATIONS="$demo/notifications" setsid "$busybox" httpd -f -p "127.0.0.1:$webhook_port" -h "$demo/webhook" >"$logs/webhook.log" 2>&1 &
    webhook_pid=$!
    echo "$webhook_pid" >"$demo/webhook.pid"
    say "  webhook of the owning team at http://127.0.0.1:$webhook_port/cgi-bin/greeters"
}

run_chain() { # run_chain NAME BRANCH [ARGUMENT…]
    local name="$1" branch="$2" status=0
    shift 2
    # Everything is given: a kubeconfig that got lost on the way shall fail, not be made up for by another sandbox.
    "$tool/ci-steps" run --branch "$branch" --repository "$demo/origin.git" --settings "$root/teamcity-settings" \
        --workspace "$demo/agent" --parameters "$demo/parameters" --no-sandbox --summary "$demo/$name.json" --report "$demo/$name.html" "$@" &
    run_pid=$!
    wait "$run_pid" || status=$?
    run_pid=""
    return "$status"
}

problems=()
check() { # check WHAT FOUND WANTED
    if [ "$2" = "$3" ]; then say "  ok: $1"; else
        say "  NOT: $1 (found \"$2\", wanted \"$3\")"
        problems+=("$1")
    fi
}

cluster() { # cluster KUBECONFIG ARGUMENT…
    local config="$1"
    shift
    kubectl --kubeconfig "$config" "$@" 2>>"$logs/kubectl.log"
}

say "set-up"
mkdir -p "$demo"
end_earlier_run
find "$demo" -mindepth 1 -maxdepth 1 -exec rm -rf {} +
mkdir -p "$logs" "$state"
common_needs
need kubectl kubernetes-client
install_missing
need_local_engine
start_engine
provide_executables
start_registry
make_base_image
make_origin
make_quotes_image
start_webhook
"$tool/ci-steps" sandbox up --clusters management,testbed-1,testbed-2,production --pool --state "$state" >"$logs/sandbox.log" 2>&1 ||
    { status=$?; cat "$logs/sandbox.log" >&2; fail "$status" "the sandbox clusters did not come up"; }
management="$("$tool/ci-steps" sandbox kubeconfig management --state "$state")"
production="$("$tool/ci-steps" sandbox kubeconfig production --state "$state")"
# Production's namespace is its administrator's: promote does not make it.
printf 'apiVersion: v1\nkind: Namespace\nmetadata: { name: shop }\n' | kubectl --kubeconfig "$production" apply -f - >>"$logs/sandbox.log"
say "  sandbox clusters: management, testbed-1, testbed-2, production"
# What an administrator sets in the project: only promote gets production's kubeconfig.
cat >"$demo/parameters" <<PARAMETERS
env.CISTEPS_POOL_KUBECONFIG=$management
CiSteps_Release_Promote:env.CISTEPS_PRODUCTION_KUBECONFIG=$production
env.GREETERS_WEBHOOK=http://127.0.0.1:$webhook_port/cgi-bin/greeters
# An agent's own habit: the built branch alone, so that the steps fetch what they need.
teamcity.git.fetchAllHeads=false
PARAMETERS
begin=$SECONDS

say ""
say "1. a push to ci/demo: the branch chain, the merge, the release chain"
git -C "$demo/work" checkout -q -b ci/demo
greeting="Hello from the second greeter"
echo "$greeting" >"$demo/work/greeter/greeting.txt"
commit "Greet as the second greeter"
git -C "$demo/work" push -q origin ci/demo
first=0
run_chain first ci/demo --follow || first=$?
check "both chains are green" "$first" 0

certified="$(curl -sfI -H 'Accept: application/vnd.docker.distribution.manifest.v2+json' -H 'Accept: application/vnd.oci.image.manifest.v1+json' \
    "http://$registry/v2/greeter/manifests/1-production" | tr -d '\r' | sed -n 's/^[Dd]ocker-[Cc]ontent-[Dd]igest: //p')"
running="$(cluster "$production" -n shop get deployment greeter -o 'jsonpath={.spec.template.spec.containers[0].image}' || true)"
check "production runs the digest that was certified" "${running#*@}" "${certified:-none}"
answer="$(cluster "$production" get --raw /api/v1/namespaces/shop/services/greeter:80/proxy/cgi-bin/greeting || true)"
say "  production answers: $(printf '%s' "$answer" | head -n 1)"
check "production answers with the new version" "$(printf '%s' "$answer" | head -n 1)" "$greeting"
check "main holds the change" "$(git -C "$demo/origin.git" show main:greeter/greeting.txt)" "$greeting"

say ""
say "2. a push whose integration test fails"
main_before="$(git -C "$demo/origin.git" rev-parse main)"
git -C "$demo/work" fetch -q origin
git -C "$demo/work" checkout -q -b ci/broken origin/main
sed -i 's#/quote\.txt#/quotes.txt#' "$demo/work/greeter/bin/quote.sh"
commit "Ask for quotes at another address"
git -C "$demo/work" push -q origin ci/broken
second=0
run_chain second ci/broken || second=$?
check "the chain is red" "$second" 1
check "it stopped at integration-deploy" "$(sed -n 's/.*"failedStep": *"\([a-z-]*\)".*/\1/p' "$demo/second.json" | head -n 1)" integration-deploy
check "nothing was merged" "$(git -C "$demo/origin.git" rev-parse main)" "$main_before"
now="$(cluster "$production" -n shop get deployment greeter -o 'jsonpath={.spec.template.spec.containers[0].image}' || true)"
check "production is unchanged" "$now" "$running"
say "  waiting until the pool has cleaned both testbeds"
phases() { cluster "$management" -n cisteps-testbeds get testbeds -o 'jsonpath={.items[*].status.phase}' 2>/dev/null || true; }
deadline=$((SECONDS + 60))
until [ "$(phases)" = "Free Free" ] || [ "$SECONDS" -ge "$deadline" ]; do read -r -t 0.5 <> <(:) || true; done
check "both testbeds are back and free" "$(phases)" "Free Free"
left="$(for bed in testbed-1 testbed-2; do cluster "$("$tool/ci-steps" sandbox kubeconfig "$bed" --state "$state")" get namespaces -o name; done 2>/dev/null | grep -c smoke || true)"
check "nothing is left on them" "$left" 0
check "the owners were told once" "$(find "$demo/notifications" -name '*.json' | wc -l | tr -d ' ')" 1

seconds=$((SECONDS - begin))
{
    printf '{\n  "seconds": %s,\n  "failedChecks": %s,\n' "$seconds" "${#problems[@]}"
    printf '  "notifications": ['
    separator=""
    for file in "$demo"/notifications/*.json; do
        [ -e "$file" ] || continue
        printf '%s' "$separator"
        cat "$file"
        separator=","
    done
    printf '],\n  "first": '
    cat "$demo/first.json"
    printf ',\n  "second": '
    cat "$demo/second.json"
    printf '}\n'
} >"$demo/summary.json"

say ""
say "reports:  $demo/first.html"
say "          $demo/second.html"
say "summary:  $demo/summary.json"
say "time:     ${seconds}s after set-up"
if [ "${#problems[@]}" -gt 0 ]; then fail 1 "${#problems[@]} of the checks above did not hold: ${problems[*]}"; fi
say "everything held"

if [ -n "$keep" ]; then
    say ""
    say "left up; look around with"
    say "  kubectl --kubeconfig $production -n shop get pods,services"
    say "  kubectl --kubeconfig $production get --raw /api/v1/namespaces/shop/services/greeter:80/proxy/cgi-bin/greeting"
    say "  kubectl --kubeconfig $management -n cisteps-testbeds get testbeds,testbedclaims"
    say "  curl http://$registry/v2/greeter/tags/list"
    say "run one step again, on what the chain handed over, with"
    say "  $tool/ci-steps run --branch ci/broken --step integration-deploy --repository $demo/origin.git --settings $root/teamcity-settings \\"
    say "      --workspace $demo/agent --parameters $demo/parameters --no-sandbox"
    say "end it with"
    say "  $tool/ci-steps sandbox down --state $state; kill $registry_pid $webhook_pid"
fi
