# Prints today's quote from the quotes service, or says that there is none.
quote_path() {
    echo "/quote.txt"
}

quote() {
    timeout 3 wget -q -O - "$1$(quote_path)" 2>/dev/null || echo "no quote today"
}
