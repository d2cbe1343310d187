using System.Collections.ObjectModel;
using System.Diagnostics;
using System.Management.Automation;
using System.Management.Automation.Host;
using System.Management.Automation.Runspaces;

namespace CiSteps.Build.Tests;

/// <summary>
/// build.ps1, run by PowerShell's own engine; the programs that it calls are stand-ins that write down how they were called.
/// </summary>
[TestFixture]
internal sealed class BuildScript
{
    private string folder = "";
    private string calls = "";

    [SetUp]
    public void Put_stand_ins_before_everything_else()
    {
        folder = Directory.CreateTempSubdirectory("build-script-").FullName;
        calls = Path.Combine(folder, "calls.txt");
        foreach (var program in (string[])["dotnet", "bash"])
        {
            var path = Path.Combine(folder, program);
            File.WriteAllText(path, $"#!/bin/sh\necho \"{program} $*\" >> '{calls}'\nexit ${{STAND_IN_EXIT:-0}}\n");
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
    }

    [TearDown]
    public void Remove_the_stand_ins() => Directory.Delete(folder, recursive: true);

    [TestCase("build", "dotnet build {root}/CiSteps.sln -c Release -nologo")]
    [TestCase("test", "bash {root}/scripts/test.sh")]
    [TestCase("pack", "dotnet msbuild {root}/steps/executables.proj -nologo -v:m -m -t:Pack -p:Rid=linux-x64")]
    [TestCase("demo", "bash {root}/scripts/demo.sh")]
    public void Calls_what_the_target_stands_for(string target, string call)
    {
        var exit = Run(("Target", target));

        Assert.Multiple(() =>
        {
            Assert.That(exit, Is.Zero);
            Assert.That(File.ReadAllLines(calls), Is.EqualTo(new[] { call.Replace("{root}", Root, StringComparison.Ordinal) }));
        });
    }

    [Test]
    public void Packs_for_the_asked_system()
    {
        Run(("Target", "pack"), ("Rid", "win-x64"));

        Assert.That(File.ReadAllText(calls), Does.Contain("-t:Pack -p:Rid=win-x64"));
    }

    [Test]
    public void Builds_in_the_asked_configuration()
    {
        Run(("Target", "build"), ("Configuration", "Debug"));

        Assert.That(File.ReadAllText(calls), Does.Contain("-c Debug"));
    }

    [Test]
    public void Ends_with_the_exit_code_of_what_failed()
    {
        Environment.SetEnvironmentVariable("STAND_IN_EXIT", "7");
        try
        {
            Assert.That(Run(("Target", "test")), Is.EqualTo(7));
        }
        finally
        {
            Environment.SetEnvironmentVariable("STAND_IN_EXIT", null);
        }
    }

    [Test]
    public void Refuses_a_target_that_it_does_not_know_and_calls_nothing()
    {
        Assert.Catch<ParameterBindingException>(() => Run(("Target", "deploy")), "no such target");
        Assert.That(File.Exists(calls), Is.False);
    }

    [Test]
    public void Names_only_scripts_that_exist()
    {
        Assert.Multiple(() =>
        {
            foreach (var path in (string[])["CiSteps.sln", "scripts/test.sh", "scripts/demo.sh", "steps/executables.proj"])
                Assert.That(File.Exists(Path.Combine(Root, path)), path);
        });
    }

    internal static string Root { get; } = FindRoot();

    private static string FindRoot()
    {
        var at = new DirectoryInfo(TestContext.CurrentContext.TestDirectory);
        while (!File.Exists(Path.Combine(at!.FullName, "CiSteps.sln"))) at = at.Parent;
        return at.FullName;
    }

    private int Run(params (string Name, string Value)[] parameters)
    {
        var host = new ExitCodeHost();
        using var runspace = RunspaceFactory.CreateRunspace(host, InitialSessionState.CreateDefault2());
        runspace.Open();
        var path = Environment.GetEnvironmentVariable("PATH");
        Environment.SetEnvironmentVariable("PATH", folder + Path.PathSeparator + path);
        try
        {
            using var shell = PowerShell.Create(runspace);
            shell.AddCommand(Path.Combine(Root, "build.ps1"));
            foreach (var (name, value) in parameters) shell.AddParameter(name, value);
            Collection<PSObject> output = shell.Invoke();
            Debug.Assert(output is not null);
            if (shell.Streams.Error.Count > 0 && !host.Ended) throw shell.Streams.Error[0].Exception;
            return host.Ended ? host.Exit : Convert.ToInt32(runspace.SessionStateProxy.GetVariable("LASTEXITCODE"));
        }
        finally
        {
            Environment.SetEnvironmentVariable("PATH", path);
        }
    }

    /// <summary>A host without a screen: it only keeps the exit code.</summary>
    private sealed class ExitCodeHost : PSHost
    {
        public bool Ended { get; private set; }

        public int Exit { get; private set; }

        public override System.Globalization.CultureInfo CurrentCulture => System.Globalization.CultureInfo.InvariantCulture;

        public override System.Globalization.CultureInfo CurrentUICulture => System.Globalization.CultureInfo.InvariantCulture;

        public override Guid InstanceId { get; } = Guid.NewGuid();

        public override string Name => "build-script-test";

        public override PSHostUserInterface? UI => null;

        public override Version Version { get; } = new(1, 0);

        public override void SetShouldExit(int exitCode) => (Ended, Exit) = (true, exitCode);

        public override void EnterNestedPrompt() => throw new NotSupportedException();

        public override void ExitNestedPrompt() => throw new NotSupportedException();

        public override void NotifyBeginApplication()
        {
        }

        public override void NotifyEndApplication()
        {
        }
    }
}
