#!/usr/bin/env bash
# All tests, set-up included. The last line is "N passed, N failed".
#   scripts/test.sh [NAME…]   only the test projects NAME.Tests; a word that is no such name means all whose names contain it
set -euo pipefail
# shellcheck source=scripts/prerequisites.sh
. "$(dirname "$0")/prerequisites.sh"
logs="$root/artifacts/logs"
results="$root/artifacts/test-results"
trap 'stop_engine' EXIT
trap 'exit 130' INT TERM

mkdir -p "$logs"
say "set-up"
common_needs
need kubectl kubernetes-client
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

build_tests() {
    local project
    if [ "$#" -eq 0 ]; then
        dotnet build "$root/CiSteps.sln" -nologo -v:q
    else
        for project in "${projects[@]}"; do dotnet build "$project" -nologo -v:q || return; done
    fi
}
with_progress "building" "$logs/build.log" build_tests "$@"

export CISTEPS_TOOL="$tool"
crashed=0
for project in "${projects[@]}"; do
    name="$(basename "$(dirname "$project")")"
    started=$SECONDS
    status=0
    # A shell in the background ignores Ctrl+C, and its children inherit that: tests of stopping need the default back.
    timeout 900 env --default-signal=INT,TERM,HUP dotnet test "$project" --no-build --nologo -v q --logger "trx;LogFileName=$name.trx" --results-directory "$results" \
        >"$logs/$name.log" 2>&1 || status=$?
    verdict=ok
    if [ "$status" -ne 0 ]; then
        verdict=FAILED
        grep -vE '^\s*$' "$logs/$name.log" | tail -n 60
        # A host that died leaves no results, or results without a failure: it counts as one.
        if ! grep -q 'failed="[1-9]' "$results/$name.trx" 2>/dev/null; then crashed=$((crashed + 1)); fi
    fi
    say "  $name: $verdict, $((SECONDS - started))s"
done

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
