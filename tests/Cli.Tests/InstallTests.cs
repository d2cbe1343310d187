using CiSteps.Cli.Commands;
using CiSteps.Fixtures;
using CiSteps.Hosting;
using CiSteps.TeamCity.Checking;
using CiSteps.TeamCity.Settings;

namespace CiSteps.Cli.Tests;

public sealed class Installing_into_a_server
{
    private const string Password = "p4ss-of-the-registry";
    private const string Key = "-----BEGIN PRIVATE KEY-----\nbm90LWEta2V5\n-----END PRIVATE KEY-----";

    private TestFolder folder = null!;
    private TeamCityRest server = null!;
    private string settings = "";
    private string secrets = "";

    [SetUp]
    public async Task Start()
    {
        folder = new TestFolder();
        settings = ShippedSettings.CopyTo(folder.Path);
        Replace(
            "CiSteps/vcsRoots/CiSteps_Settings.xml",
            "https://git.example.com/team/ci-settings.git",
            "https://git.local/ci.git");
        secrets = Path.Combine(folder.Path, "secrets");
        File.WriteAllText(Path.Combine(folder.Path, "key.pem"), Key);
        File.WriteAllText(secrets,
            $"# of the release side\nCiSteps_Release:env.CISTEPS_REGISTRY_PASSWORD={Password}\n" +
            "CiSteps_Release:env.CISTEPS_SIGNING_KEY=@key.pem\n");
        server = await TeamCityRest.StartAsync();
        server.Repository = [.. Directory
            .GetDirectories(Path.Combine(settings, ".teamcity"))
            .Select(path => Path.GetFileName(path)!)];
    }

    [TearDown]
    public async Task Stop()
    {
        Assert.That(server.Faults, Is.Empty, "requests that no documentation knows");
        await server.DisposeAsync();
        folder.Dispose();
    }

    [Test]
    public async Task Only_prints_the_plan_unless_told_to_do_it()
    {
        var (exit, output, _) = await RunAsync();
        Assert.That(exit, Is.Zero);
        Assert.That(
            output,
            Does.Contain("would    make the project \"CiSteps\"").And.Contain("would    make the VCS root \"CiSteps_Settings\"")
                .And.Contain("would    load the settings").And.Contain("nothing was changed; give --apply"));
        Assert.That(Writes(), Is.Empty);
    }

    [Test]
    public async Task Sets_an_empty_server_up_and_changes_nothing_the_second_time()
    {
        await PrepareAsync();
        var (exit, output, error) = await RunAsync("--apply", "--secrets", secrets);
        Assert.That((exit, error), Is.EqualTo((0, "")), output);
        Assert.That(Writes(), Is.EqualTo(new[]
        {
            "POST projects", "POST vcs-roots", "PUT projects/id:CiSteps/versionedSettings/config",
            "POST projects/id:CiSteps/versionedSettings/tokens", "POST projects/id:CiSteps/versionedSettings/loadSettings",
        }));
        var project = server.Projects["CiSteps"];
        Assert.That(project.Tokens.Values, Is.EquivalentTo(new[] { Password, Key }));
        Assert.That(project.RootProperties["url"], Is.EqualTo("https://git.local/ci.git"));
        Assert.That((string?)project.Config["buildSettingsMode"], Is.EqualTo("alwaysUseCurrent"));
        Assert.That(server.Projects.Keys, Does.Contain("CiSteps_Release"));
        Assert.That(output, Does.Contain("upload ci-steps-linux-x64.zip").And.Contain("Administration | Tools"));
        Assert.That(output, Does.Not.Contain(Password).And.Not.Contain("bm90LWEta2V5").And.Not.Contain(TeamCityRest.Token));

        var before = Writes().Count;
        (exit, output, _) = await RunAsync("--apply", "--secrets", secrets);
        Assert.That(exit, Is.Zero);
        Assert.That(output, Does.Contain("the server is as the settings want it; nothing was changed"));
        Assert.That(Writes(), Has.Count.EqualTo(before));
    }

    [Test]
    public async Task Gives_the_secrets_again_when_told_to()
    {
        await PrepareAsync();
        await RunAsync("--apply", "--secrets", secrets);
        File.WriteAllText(secrets, "CiSteps_Release:env.CISTEPS_REGISTRY_PASSWORD=another-p4ss\n");
        await RunAsync("--apply", "--secrets", secrets);
        Assert.That(server.Projects["CiSteps"].Tokens.Values, Does.Contain(Password), "a secret that the server has stays");
        await RunAsync("--apply", "--secrets", secrets, "--rotate");
        Assert.That(server.Projects["CiSteps"].Tokens.Values, Is.EquivalentTo(new[] { "another-p4ss", Key }));
    }

    [Test]
    public async Task Puts_references_and_no_secrets_into_the_settings_and_the_same_ones_each_time()
    {
        var (exit, output, _) = await PrepareAsync();
        Assert.That((exit, output), Is.EqualTo((0, output)));
        var file = Path.Combine(settings, ".teamcity", "CiSteps_Release", "project-config.xml");
        var first = File.ReadAllText(file);
        Assert.That(
            first, Does.Match("name=\"env.CISTEPS_REGISTRY_PASSWORD\" value=\"credentialsJSON:[0-9a-f-]{36}\" spec=\"password"));
        Assert.That(first, Does.Not.Contain(Password));
        Assert.That((await PrepareAsync()).Output, Does.Contain("nothing was changed"));
        Assert.That(File.ReadAllText(file), Is.EqualTo(first));
        Assert.That(SettingsCheck.Run(SettingsReader.Read(settings)), Is.Empty);
        Assert.That(server.Requests, Is.Empty);
    }

    [Test]
    public async Task Wants_the_references_before_it_gives_secrets()
    {
        var (exit, _, error) = await RunAsync("--apply", "--secrets", secrets);
        Assert.That(exit, Is.EqualTo(ExitCode.Usage));
        Assert.That(error, Does.Contain("--prepare"));
        Assert.That(Writes(), Is.Empty);
    }

    [TestCase("CiSteps_Release:env.NOTHING=x", "no secret \"CiSteps_Release:env.NOTHING\"")]
    [TestCase("p4ss-without-a-name", "secrets:1 is not")]
    [TestCase(
        "CiSteps_Release:env.CISTEPS_SIGNING_KEY=@p4ss-of-mine",
        "secrets:1: \"CiSteps_Release:env.CISTEPS_SIGNING_KEY\" names a file")]
    [TestCase("CiSteps_Release:env.CISTEPS_SIGNING_KEY=@p4ss/of/mine", "there is no such file")]
    [TestCase(
        "CiSteps_Release:env.CISTEPS_SIGNING_KEY=@p4ss\0of-mine",
        "secrets:1: \"CiSteps_Release:env.CISTEPS_SIGNING_KEY\" names a file")]
    [TestCase("CiSteps_Release:env.NOTHING=p4ss-of-mine", "no secret \"CiSteps_Release:env.NOTHING\"")]
    [TestCase("p4ssOfAKeyOfSeveralLines==", "secrets:1 is not")]
    [TestCase("CiSteps_Release:env.CISTEPS_SIGNING_KEY=", "has no value")]
    public async Task Refuses_a_file_of_secrets_that_it_cannot_read_without_showing_one(string line, string why)
    {
        File.WriteAllText(secrets, line);
        var (exit, output, error) = await RunAsync("--secrets", secrets);
        Assert.That(exit, Is.EqualTo(ExitCode.Usage));
        Assert.That(error, Does.Contain(why));
        Assert.That(output + error, Does.Not.Contain("p4ss"));
    }

    [Test]
    public async Task Says_what_to_do_when_the_token_is_refused()
    {
        var (exit, _, error) = await RunAsync(["--apply"], token: "another-token");
        Assert.That((exit, error), Is.EqualTo((ExitCode.Usage, error)));
        Assert.That(error, Does.Contain("refuses the token (401)").And.Contain("Access Tokens"));
    }

    [Test]
    public async Task Says_what_the_user_may_not_do()
    {
        server.Instead = request => request == "POST projects"
            ? (403, "{\"errors\":[{\"message\":\"You do not have \\\"Create subproject\\\" permission\"}]}")
            : null;
        var (exit, _, error) = await RunAsync("--apply");
        Assert.That(exit, Is.EqualTo(ExitCode.Usage));
        Assert.That(error, Does.Contain("may not make the project \"CiSteps\"").And.Contain("Create subproject"));
        Assert.That(Writes(), Has.Count.EqualTo(1));
    }

    [Test]
    public async Task Knows_an_older_server_before_it_touches_anything()
    {
        server.Instead = request => request.Contains("/versionedSettings/", StringComparison.Ordinal) ? (404, "Not Found") : null;
        var (exit, _, error) = await RunAsync("--apply");
        Assert.That(exit, Is.EqualTo(ExitCode.Usage));
        Assert.That(error, Does.Contain("older than 2023.05"));
        Assert.That(Writes(), Is.Empty);
    }

    [Test]
    public async Task Follows_no_redirect_with_the_token()
    {
        server.Redirect = "https://elsewhere.local/";
        Assert.That((await RunAsync("--apply")).Error, Does.Contain("sends elsewhere (302 to https://elsewhere.local/)"));
        Assert.That(server.Requests, Has.Count.EqualTo(1));
    }

    [Test]
    public async Task Knows_an_address_that_is_not_TeamCitys()
    {
        server.Instead = _ => (200, "<html><title>Welcome</title></html>");
        var (exit, _, error) = await RunAsync("--apply");
        Assert.That(exit, Is.EqualTo(ExitCode.Usage));
        Assert.That(error, Does.Contain("is it TeamCity's address?"));
    }

    [Test]
    public async Task Leaves_a_project_of_another_installation_alone()
    {
        server.AddProject("CiSteps").Config = new()
        {
            ["synchronizationMode"] = "enabled",
            ["vcsRootId"] = "Other_Root",
            ["format"] = "kotlin"
        };
        var (exit, _, error) = await RunAsync("--apply");
        Assert.That(exit, Is.EqualTo(ExitCode.Usage));
        Assert.That(error, Does.Contain("takes its settings from the VCS root \"Other_Root\""));
        Assert.That(Writes(), Is.Empty);
    }

    [Test]
    public async Task Warns_before_it_replaces_a_project_that_is_made_by_hand()
    {
        server.AddProject("CiSteps");
        Assert.That((await RunAsync()).Output, Does.Contain("the import replaces whatever it holds"));
    }

    [Test]
    public async Task Uses_a_root_that_is_there_only_when_told_to()
    {
        server.AddRoot("CiSteps_Settings");
        var (exit, _, error) = await RunAsync("--apply");
        Assert.That(exit, Is.EqualTo(ExitCode.Usage));
        Assert.That(error, Does.Contain("already used").And.Contain("--existing-root"));
        Assert.That((await RunAsync("--apply", "--existing-root")).Exit, Is.Zero);
        Assert.That(server.Projects.Keys, Does.Contain("CiSteps_Branch"));
    }

    [Test]
    public async Task Tells_what_is_wrong_with_the_imported_settings_and_finishes_when_they_are_mended()
    {
        server.Broken = ("CiSteps_Branch/project-config.xml", "duplicate id");
        var (exit, output, error) = await RunAsync("--apply");
        Assert.That(exit, Is.EqualTo(ExitCode.Refused));
        Assert.That(output, Does.Contain("error    CiSteps_Branch/project-config.xml: duplicate id"));
        Assert.That(error, Does.Contain("did not take the settings (1 error)"));
        server.Broken = null;
        var before = Writes().Count;
        Assert.That((await RunAsync("--apply")).Exit, Is.Zero);
        Assert.That(Writes().Skip(before), Is.EqualTo(new[] { "POST projects/id:CiSteps/versionedSettings/loadSettings" }));
    }

    [Test]
    public async Task Takes_no_word_for_the_imports_that_the_server_said_before_it_began()
    {
        server.SaysWhenEnabled = "warn";
        server.LoadTakes = 3;
        var (exit, output, error) = await RunAsync("--apply");
        Assert.That((exit, error), Is.EqualTo((0, "")), output);
        Assert.That(output, Does.Contain("the server says: Changes from VCS are applied"));
    }

    [Test]
    public async Task Gives_up_on_an_import_that_never_ends()
    {
        server.LoadTakes = null;
        var (exit, _, error) = await RunAsync("--apply", "--import-timeout", "3s");
        Assert.That(exit, Is.EqualTo(ExitCode.Unavailable));
        Assert.That(
            error, Does.Contain("has not loaded the settings within 3s").And.Contain("Loading project settings from VCS"));
    }

    [Test]
    public async Task Finishes_what_a_cut_off_run_began_and_repeats_no_write_by_itself()
    {
        var stumbles = 1;
        server.Instead = request => request == "POST vcs-roots" && stumbles-- > 0 ? (503, "TeamCity is starting") : null;
        var (exit, _, error) = await RunAsync("--apply");
        Assert.That(exit, Is.EqualTo(ExitCode.Unavailable));
        Assert.That(error, Does.Contain("TeamCity is starting").And.Contain("run again"));
        Assert.That(Writes(), Is.EqualTo(new[] { "POST projects", "POST vcs-roots" }));
        Assert.That((await RunAsync("--apply")).Exit, Is.Zero);
        Assert.That(Writes().Count(write => write == "POST projects"), Is.EqualTo(1));
    }

    [Test]
    public async Task Asks_again_when_the_server_stumbles_over_a_question()
    {
        var stumbles = 1;
        server.Instead = request => request.StartsWith("GET ", StringComparison.Ordinal) && stumbles-- > 0 ? (503, "busy") : null;
        Assert.That((await RunAsync()).Exit, Is.Zero);
    }

    [TestCase("http://teamcity.local", "in clear")]
    [TestCase("teamcity.local", "is not an address")]
    [TestCase("https://user:secret@teamcity.local", "holds more than an address")]
    public async Task Sends_no_token_where_others_could_read_it(string url, string why)
    {
        var (exit, _, error) = await RunAsync(["--teamcity-url", url]);
        Assert.That(exit, Is.EqualTo(ExitCode.Usage));
        Assert.That(error, Does.Contain(why));
    }

    [Test]
    public async Task Installs_no_example()
    {
        Replace(
            "CiSteps/vcsRoots/CiSteps_Settings.xml",
            "https://git.local/ci.git",
            "https://git.example.com/team/ci-settings.git");
        Assert.That((await RunAsync("--apply")).Error, Does.Contain("the example's address"));
        Assert.That(server.Requests, Is.Empty);
    }

    [Test]
    public async Task Reads_the_settings_with_the_roots_own_secret()
    {
        Replace("CiSteps/vcsRoots/CiSteps_Settings.xml", "  <param name=\"submoduleCheckout\"",
            "  <param name=\"secure:password\" value=\"\" />\n  <param name=\"submoduleCheckout\"");
        File.WriteAllText(secrets, "CiSteps_Settings:secure:password=p4ss-of-git\n");
        await PrepareAsync();
        Assert.That((await RunAsync("--apply")).Error, Does.Contain("give its value"));
        Assert.That((await RunAsync("--apply", "--secrets", secrets)).Exit, Is.Zero);
        Assert.That(server.Projects["CiSteps"].RootProperties["secure:password"], Is.EqualTo("p4ss-of-git"));
    }

    [Test]
    public async Task Is_what_the_script_for_people_does()
    {
        var script = Path.Combine(Path.GetDirectoryName(ShippedSettings.Folder)!, "scripts", "install-teamcity.sh");
        var environment = new Dictionary<string, string?>
        {
            ["CISTEPS_TOOL"] = AppContext.BaseDirectory,
            ["CISTEPS_TEAMCITY_TOKEN"] = TeamCityRest.Token,
            ["TEAMCITY_VERSION"] = null
        };
        var (exit, output, error) = await ChildProcess.CaptureAsync(new(
            "bash", [script, settings, "--teamcity-url", server.Url, "--apply"], folder.Path)
        { Environment = environment });
        Assert.That(exit, Is.Zero, output + error);
        Assert.That(server.Projects.Keys, Does.Contain("CiSteps_Release"));
    }

    private List<string> Writes() => [.. server.Requests.Where(request => !request.StartsWith("GET ", StringComparison.Ordinal))];

    private void Replace(string file, string from, string to)
    {
        var path = Path.Combine(settings, ".teamcity", file);
        Assert.That(File.ReadAllText(path), Does.Contain(from));
        File.WriteAllText(path, File.ReadAllText(path).Replace(from, to, StringComparison.Ordinal));
    }

    private Task<(int Exit, string Output, string Error)> PrepareAsync() => RunAsync("--prepare", "--secrets", secrets);

    private Task<(int Exit, string Output, string Error)> RunAsync(params string[] more) => RunAsync(more, TeamCityRest.Token);

    private async Task<(int Exit, string Output, string Error)> RunAsync(string[] more, string token)
    {
        var output = new StringWriter();
        var error = new StringWriter();
        var exit = await ProgramHost.RunAsync(CiStepsProgram.Create(), ["install", settings, .. more], output, error,
            new Dictionary<string, string> { ["CISTEPS_TEAMCITY_TOKEN"] = token, ["TEAMCITY_URL"] = server.Url });
        return (exit, output.ToString(), error.ToString());
    }
}
