#!/usr/bin/env pwsh
# build.ps1 build|test|pack|demo — a thin front for people and agents that have PowerShell.
param(
    [ValidateSet('build', 'test', 'pack', 'demo')]
    [string] $Target = 'build',
    [ValidateSet('Debug', 'Release')]
    [string] $Configuration = 'Release',
    [ValidateSet('linux-x64', 'win-x64')]
    [string] $Rid = 'linux-x64'
)
$ErrorActionPreference = 'Stop'

# Native commands do not throw: each exit code is looked at.
function Invoke-Checked([string] $Program, [string[]] $Arguments) {
    & $Program @Arguments
    if ($LASTEXITCODE -ne 0) { exit $LASTEXITCODE }
}

switch ($Target) {
    'build' { Invoke-Checked 'dotnet' @('build', "$PSScriptRoot/CiSteps.sln", '-c', $Configuration, '-nologo') }
    'test'  { Invoke-Checked 'bash' @("$PSScriptRoot/scripts/test.sh") }
    'pack'  { Invoke-Checked 'dotnet' @('msbuild', "$PSScriptRoot/steps/executables.proj", '-nologo', '-v:m', '-m', '-t:Pack', "-p:Rid=$Rid") }
    'demo'  { Invoke-Checked 'bash' @("$PSScriptRoot/scripts/demo.sh") }
}
exit 0
