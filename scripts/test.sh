#!/usr/bin/env bash
# All tests, set-up included. The last line is "N passed, N failed".
#   scripts/test.sh [NAME…]   only the test projects NAME.Tests; a word that is not such a name means all whose names contain it
set -euo pipefail
# shellcheck source=scripts/prerequisites.sh
. "$(dirname "$0")/prerequisites.sh"
logs="$root/artifacts/logs"
results="$root/artifacts/test-results"
trap 'stop_tests; stop_engine' EXIT
trap 'exit 130' INT TERM

running=()
# Tests that still run when this script ends go with it.
stop_tests() {
    [ "${#running[@]}" -gt 0 ] || return 0
    kill "${running[@]}" 2>/dev/null || true
    wait "${running[@]}" || true
}

mkdir -p "$logs"
say "set-up"
common_needs
need kubectl kubernetes-client
# merge is tried over a real ssh server, and signs with real keys.
need sshd openssh-server
need ssh-agent openssh-client
need gpg gnupg
# Frameworks that unit-test is tried with.
need node nodejs
need pytest python3-pytest
install_missing
start_engine
provide_executables
rm -rf "$results"
mkdir -p "$results"

chosen() { # chosen PROJECT WORD…   whether one of the words, or no word at all, means the project
    local project="$1" word
    shift
    [ "$#" -gt 0 ] || return 0
    for word in "$@"; do
        if [ -d "$root/tests/$word.Tests" ]; then [ "$project" != "$word.Tests" ] || return 0
        elif [[ "$project" == *"$word"* ]]; then return 0; fi
    done
    return 1
}

projects=()
for project in "$root"/tests/*.Tests/*.csproj; do
    if chosen "$(basename "$(dirname "$project")")" "$@"; then projects+=("$project"); fi
done
[ "${#projects[@]}" -gt 0 ] || fail 2 "no test project's name contains \"$*\""

# As the executables are published: what they are made of is compiled already.
build_tests() {
    local project
    if [ "$#" -eq 0 ]; then
        dotnet build "$root/CiSteps.sln" -c Release -nologo -v:q
    else
        for project in "${projects[@]}"; do dotnet build "$project" -c Release -nologo -v:q || return; done
    fi
}
with_progress "building" "$logs/build.log" build_tests "$@"

export CISTEPS_TOOL="$tool"
run_project() { # run_project PROJECT   tests one project; says how it went, and leaves a file where its results do not tell of a failure
    local project="$1" name started=$SECONDS status=0
    name="$(basename "$(dirname "$project")")"
    # A shell in the background ignores Ctrl+C, and its children inherit that: tests of stopping need the default back.
    timeout 900 env --default-signal=INT,TERM,HUP dotnet test "$project" -c Release --no-build --nologo -v q \
        --logger "trx;LogFileName=$name.trx" --results-directory "$results" >"$logs/$name.log" 2>&1 &
    tests=$!
    trap 'kill "$tests" 2>/dev/null; exit 143' TERM
    wait "$tests" || status=$?
    if [ "$status" -eq 0 ]; then
        say "  $name: ok, $((SECONDS - started))s"
        return
    fi
    # In one piece: two projects run at once.
    say "$(grep -vE '^\s*$' "$logs/$name.log" | tail -n 60)
$(failed_tests "$results/$name.trx")
  $name: FAILED, $((SECONDS - started))s"
    # A host that died leaves no results, or results without a failure: it counts as one.
    grep -q 'failed="[1-9]' "$results/$name.trx" 2>/dev/null || touch "$results/$name.crashed"
}

failed_tests() { # failed_tests TRX   the names and first lines of what failed: the quiet logger tells numbers only
    [ -f "$1" ] || return 0
    awk '/<UnitTestResult /{ name = ""; if (match($0, /outcome="(Failed|Error|Timeout|Aborted)"/)) { match($0, /testName="[^"]*"/)
            name = substr($0, RSTART + 10, RLENGTH - 11) } }
        name != "" && /<Message>/ { print "    failed: " name; inside = 1; lines = 0 }
        inside { sub(/.*<Message>/, ""); end = sub(/<\/Message>.*/, ""); if (lines++ < 12) print "      " $0; if (end) { inside = 0; name = "" } }' "$1" |
        sed 's/&lt;/</g; s/&gt;/>/g; s/&quot;/"/g; s/&#xD;//g; s/&amp;/\&/g'
}

run_one_by_one() { # run_one_by_one PROJECT…
    local project
    for project in "$@"; do run_project "$project"; done
}

# Two at a time: most tests wait for others more than they compute. But a sandbox with pods sweeps what killed ones left on the engine, and
# some tests kill theirs to see just that: projects that bring one up run one after another.
pods=()
others=()
for project in "${projects[@]}"; do
    case "$(basename "$(dirname "$project")")" in
        Chain.Tests | Cli.Tests | IntegrationDeploy.Tests | Promote.Tests | Sandbox.Tests) pods+=("$project") ;;
        *) others+=("$project") ;;
    esac
done
run_one_by_one "${pods[@]}" &
running+=("$!")
run_one_by_one "${others[@]}" &
running+=("$!")
wait "${running[@]}"
running=()
crashed="$(find "$results" -name '*.crashed' | wc -l)"

total() { # total COUNTER
    local sum=0 value
    for value in $(grep -ohE "<Counters [^>]*" "$results"/*.trx 2>/dev/null | grep -oE " $1=\"[0-9]+\"" | grep -oE '[0-9]+'); do sum=$((sum + value)); done
    echo "$sum"
}
passed="$(total passed)"
failed="$(($(total failed) + $(total error) + crashed))"
skipped="$(($(total total) - $(total executed)))"
# A skipped test is a test that did not say yes.
failed="$((failed + skipped))"
[ "$passed" -gt 0 ] || failed="$((failed > 0 ? failed : 1))"
say "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
