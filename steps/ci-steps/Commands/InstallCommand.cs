using CiSteps.Hosting;
using CiSteps.Hosting.Display;
using CiSteps.Hosting.Options;
using CiSteps.TeamCity.Checking;
using CiSteps.TeamCity.Installing;
using CiSteps.TeamCity.Settings;

namespace CiSteps.Cli.Commands;

/// <summary><c>ci-steps install</c>: sets a TeamCity server up for a settings tree, through its REST API.</summary>
internal static class InstallCommand
{
    internal static readonly StepOption<string> Server = StepOption.Text("teamcity-url",
        "address of the TeamCity server; default: TEAMCITY_URL");
    internal static readonly StepOption<string> TokenFile = StepOption.Text("token-file",
        $"file with the access token; default: the variable {Installation.TokenVariable}, then TEAMCITY_TOKEN");
    internal static readonly StepOption<string> SecretsFile = StepOption.Text("secrets",
        "file of secrets, \"<project, configuration or root id>:<parameter>=<value>\" lines; \"=@path\" takes a file's content");
    internal static readonly StepOption<bool> Prepare = StepOption.Switch("prepare",
        "only write references to the given secrets into the settings here, to be committed; asks no server");
    internal static readonly StepOption<bool> Apply = StepOption.Switch("apply",
        "do it; without this the plan is printed and nothing is changed");
    internal static readonly StepOption<bool> Rotate = StepOption.Switch("rotate",
        "give the server every secret again, also those that it has");
    internal static readonly StepOption<bool> ExistingRoot = StepOption.Switch("existing-root",
        "the VCS root of the settings is on the server already: use it as it is");
    internal static readonly StepOption<bool> PlainHttp = StepOption.Switch("plain-http",
        "send the token over plain http to another machine");
    internal static readonly StepOption<TimeSpan> Limit = StepOption.Duration(
        "import-timeout", "how long the server may take to load the settings", "5m");

    public static ProgramCommand Create() => new("install",
        "Sets a TeamCity server up for a settings tree: project, VCS root, versioned settings with import, " +
        "secrets. Prints the plan; --apply does it; a second run changes nothing.",
        [Server, TokenFile, SecretsFile, Prepare, Apply, Rotate, ExistingRoot, PlainHttp, Limit], RunAsync)
    {
        Argument = ("folder", "folder of the settings; default: teamcity-settings or this folder"),
    };

    private static async Task<int> RunAsync(ProgramContext context, CancellationToken cancel)
    {
        var settings = context.Options;
        var tree = SettingsTree.Load(RunSession.FindSettings(context.Argument));
        var places = InstallSecrets.In(tree);
        var secrets = settings.Find(SecretsFile) is { } file
            ? InstallSecrets.Read(file, places)
            : new Dictionary<string, string>();
        foreach (var secret in secrets.Values) context.Log.Mask.Add(secret);
        if (settings.Get(Prepare)) return await PrepareAsync(context, tree, places, secrets);
        var wrong = SettingsCheck.Run(tree).Where(finding => finding.Severity == Severity.Error).ToList();
        if (wrong.Count > 0)
            throw new UsageException(
                $"the settings have {Count.Of(wrong.Count, "error")}, the first is {wrong[0]}; see ci-steps check");
        var request = new InstallRequest(
            Address(settings),
            Token(context),
            settings.Get(Apply),
            settings.Get(Rotate),
            settings.Get(ExistingRoot),
            settings.Get(Limit));
        return await Installation.RunAsync(context, request, tree, places, secrets, cancel);
    }

    private static async Task<int> PrepareAsync(
        ProgramContext context, SettingsTree tree, IReadOnlyList<SecretPlace> places, IReadOnlyDictionary<string, string> secrets)
    {
        if (secrets.Count == 0)
            throw new UsageException(
                $"which secrets? give --secrets with a line for each of {string.Join(", ", places.Select(place => place.Name))}");
        var changed = InstallSecrets.Prepare(tree, places, secrets);
        foreach (var file in changed) await context.Output.WriteLineAsync($"changed  {file}");
        await context.Output.WriteLineAsync(
            changed.Count == 0 ? "the settings refer to every given secret already; nothing was changed"
                : "the settings refer to the secrets now, and hold none; commit and push them, then install");
        return ExitCode.Done;
    }

    private static Uri Address(OptionValues settings)
    {
        var text = settings.Find(Server)
            ?? settings.Environment.GetValueOrDefault("TEAMCITY_URL")
            ?? throw new UsageException("which server? give --teamcity-url, or set TEAMCITY_URL");
        if (!Uri.TryCreate(text, UriKind.Absolute, out var address) || address.Scheme is not ("http" or "https"))
            throw new UsageException($"\"{text}\" is not an address; write it like https://teamcity.example.com");
        if (address.UserInfo.Length > 0 || address.Query.Length > 0)
            throw new UsageException(
                "the server's address holds more than an address; the token comes from the environment or a file");
        return address.Scheme == "https" || address.IsLoopback || settings.Get(PlainHttp) ? address
            : throw new UsageException($"{address} would get the token in clear; use https, or give --plain-http");
    }

    private static string Token(ProgramContext context)
    {
        var environment = context.Options.Environment;
        string? token;
        try
        {
            token = context.Options.Find(TokenFile) is { } file
                ? File.ReadAllText(file)
                : environment.GetValueOrDefault(Installation.TokenVariable) ?? environment.GetValueOrDefault("TEAMCITY_TOKEN");
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new UsageException($"cannot read the token: {failure.Message}", failure);
        }
        if (token?.Trim() is not { Length: > 0 } found)
            throw new UsageException(
                $"no access token: set {Installation.TokenVariable}, or give --token-file; " +
                "make one under your profile | Access Tokens");
        if (found.Any(unit => unit is <= ' ' or > '~'))
            throw new UsageException("the access token holds characters that no token has; is it the right file?");
        context.Log.Mask.Add(found);
        return found;
    }
}
