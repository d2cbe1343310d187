#!/usr/bin/env bash
# Sets a TeamCity server up for the chain: project, VCS root, versioned settings imported from the repository, secrets. Prints the plan; --apply does it.
#   scripts/install-teamcity.sh [FOLDER] [OPTION…]      FOLDER is your settings' (default: teamcity-settings here); --help lists the options
# The server is TEAMCITY_URL or --teamcity-url; the token is in CISTEPS_TEAMCITY_TOKEN, or in the file of --token-file.
set -euo pipefail
# shellcheck source=scripts/prerequisites.sh
. "$(dirname "$0")/prerequisites.sh"

settings="$root/teamcity-settings"
if [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; then
    settings="$1"
    shift
fi
logs="$root/artifacts/install-teamcity"
[ -n "${CISTEPS_TOOL:-}" ] || command -v dotnet >/dev/null 2>&1 ||
    fail 2 "the .NET 10 SDK is missing: install dotnet-sdk-10.0, or name the archive ci-steps-cli-linux-x64.zip, or a folder that it was unpacked to, in CISTEPS_TOOL"
provide_executables ci-steps
exec "$tool/ci-steps" install "$settings" "$@"
