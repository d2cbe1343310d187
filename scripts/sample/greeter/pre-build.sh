#!/bin/sh
# Makes the page that the image serves from the greeting: the repository's own build script.
set -eu
cd "$(dirname "$0")"
mkdir -p build
{
    printf '<!doctype html><title>greeter</title><h1>'
    tr -d '\n' < greeting.txt
    printf '</h1>\n'
} > build/index.html
cp greeting.txt build/greeting.txt
