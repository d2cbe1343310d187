#!/bin/sh
# Unit tests of the greeter, as TAP.
cd "$(dirname "$0")/.."
. bin/quote.sh
failed=0
echo "1..3"
check() {
    if [ "$3" = "$4" ]; then echo "ok $1 - $2"; else
        failed=1
        echo "not ok $1 - $2"
        printf '  ---\n  expected: "%s"\n  found: "%s"\n  ...\n' "$3" "$4"
    fi
}
check 1 "the greeting is one line" "1" "$(wc -l < greeting.txt | tr -d ' ')"
check 2 "the greeting says hello" "1" "$(grep -c Hello greeting.txt)"
check 3 "without a quotes service there is no quote" "no quote today" "$(quote http://127.0.0.1:9)"
exit $failed
