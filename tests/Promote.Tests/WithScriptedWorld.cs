using CiSteps.Clusters;
using CiSteps.Hosting;
using CiSteps.Hosting.Evidence;

namespace CiSteps.Promote.Tests;

/// <summary>The step through its host, with a world that answers as told.</summary>
[TestFixture]
internal sealed class WithScriptedWorld
{
    private const string New = ScriptedWorld.New;
    private const string Old = ScriptedWorld.Old;
    private const string Gate = "http: service://greeter:80/healthz, for: 1ms, time-limit: 200ms";
    private static readonly string OneWave = Production.Wave("all", "shop", gate: Gate, settle: "1ms");
    private static readonly string TwoWaves = Production.Wave("first", "one", ns: "one", gate: Gate, settle: "1ms")
        + Production.Wave("second", "two", ns: "two", gate: Gate, settle: "1ms");
    private static readonly StepFailure Crashed = new("crash-loop", "it crashed") { IsOwn = true };

    private Production production = null!;
    private ScriptedWorld world = null!;

    [SetUp]
    public void SetUp() => Begin(OneWave, "shop");

    [TearDown]
    public void TearDown()
    {
        production.Dispose();
        production = null!;
        world.Dispose();
    }

    private void Begin(string waves, params string[] namespaces)
    {
        production?.Dispose();
        production = new Production("registry.example", waves, timeLimit: "500ms");
        production.Environment[Production.KubeconfigVariable] = "kubeconfig";
        world = ScriptedWorld.Running(Old, namespaces);
    }

    [Test]
    public async Task Rolls_out_asks_the_gate_and_writes_it_down()
    {
        await CertifiedAsync();

        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Done), production.Output);

        Assert.That(world.Writes, Is.EqualTo(new[] { "RECORD shop rolling out", "APPLY shop sha256:11",
            "RECORD shop promoted" }));
        Assert.That(production.HandOver().Workloads.Single(), Is.EqualTo(new PromotedWorkload("greeter", "shop", New, Old)));
    }

    [Test]
    public async Task Takes_back_what_fails_bars_it_and_moves_the_tags_back()
    {
        await CertifiedAsync();
        world.Fails = (_, digest) => digest == New ? Crashed : null;

        var exit = await RunAsync();

        Assert.That((exit, production.Reason()), Is.EqualTo((ExitCode.Refused, "rollout-failed")), production.Output);
        Assert.Multiple(() =>
        {
            Assert.That(world.Writes.Skip(2), Is.EqualTo(new[] { "TAG barred-11 sha256:11", "RECORD shop rolling back",
                "APPLY shop sha256:00", "TAG 1-product sha256:00", "TAG latest sha256:00", "RECORD shop rolled back" }));
            Assert.That(production.Text(), Does.Contain("it crashed").And.Contain("rolled back").And.Contain("barred"));
            Assert.That(production.HandOver().Workloads.Single(),
                Is.EqualTo(new PromotedWorkload("greeter", "shop", Old, Old) { State = "rolled back" }));
        });
    }

    [Test]
    public async Task Takes_back_what_the_gate_refuses()
    {
        await CertifiedAsync();
        world.Gate = ns => world.Live[ns].Digest == New ? new GateAnswer(false, "HTTP 500: out of order") : GateAnswer.Healthy;

        var exit = await RunAsync();

        Assert.That((exit, production.Reason()), Is.EqualTo((ExitCode.Refused, "rollout-failed")), production.Output);
        Assert.That(production.Text(), Does.Contain("unhealthy").And.Contain("out of order").And.Contain(
            "and healthy").And.Contain("is barred"));
    }

    [Test]
    public async Task Takes_back_what_breaks_while_the_gate_is_watched()
    {
        await CertifiedAsync();
        world.Gate = _ => throw new UnavailableException("gate-silent", "nobody there");
        world.Breaks = ns => world.Live[ns].Digest == New ? new StepFailure("does-not-hold", "it was started again")
        {
            IsOwn =
            true
        } : null;
        world.After = (_, what) =>
        {
            if (what == "APPLY shop sha256:00") world.Gate = _ => GateAnswer.Healthy;
        };

        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Refused), production.Output);
        Assert.That(production.Text(), Does.Contain("it was started again").And.Contain("the digest is barred"));
    }

    [TestCase("quota")]
    [TestCase("manifests")]
    public async Task Bars_nothing_for_a_fault_that_is_not_the_images(string fault)
    {
        await CertifiedAsync();
        if (fault == "quota") world.Fails = (_, digest) => digest == New
            ? new StepFailure("quota", "it does not fit the quota") : null;
        else world.Before = (_, what) =>
        {
            if (what == "APPLY shop sha256:11") throw new UsageException(
                "the cluster does not take Job \"migrate\": field is immutable");
        };

        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Refused), production.Output);

        Assert.That(production.Text(), Does.Contain("is not barred").And.Contain("run certify and promote again"));
        Assert.That(world.Tags, Is.EquivalentTo(new Dictionary<string, string> { ["1-production"] = Old, ["latest"] = Old }),
            "tags follow the cluster");
        Assert.That(world.Live["shop"].Digest, Is.EqualTo(Old));

        // The quota has gone: the same digest goes out, without certify.
        world.Fails = (_, _) => null;
        world.Before = (_, _) => { };
        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Done), production.Output);
        Assert.That(world.Tags, Is.EquivalentTo(new Dictionary<string, string> { ["1-production"] = New, ["latest"] = New }));
    }

    [TestCase("latest", ExitCode.Done)]
    [TestCase("1-production", ExitCode.Unavailable)]
    public async Task A_latest_that_the_registry_keeps_does_not_stop_production(string kept, int exit)
    {
        await CertifiedAsync();
        world.Fails = (_, digest) => digest == New ? new StepFailure("quota", "it does not fit the quota") : null;
        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Refused), production.Output);
        world.Fails = (_, _) => null;
        world.Before = (_, what) =>
        {
            if (what.StartsWith("TAG " + kept[..6], StringComparison.Ordinal) && what.EndsWith("sha256:11",
                StringComparison.Ordinal)) throw new UnavailableException("registry-refused", "the tag is immutable");
        };

        Assert.That(await RunAsync(), Is.EqualTo(exit), production.Output);

        Assert.That(world.Live["shop"].Digest, Is.EqualTo(exit == ExitCode.Done ? New : Old));
        if (exit == ExitCode.Done) Assert.That(production.Output, Does.Contain("latest\" is not moved: the tag is immutable"));
    }

    [Test]
    public async Task Says_loudly_when_the_way_back_fails_and_states_what_is()
    {
        await CertifiedAsync();
        world.Fails = (_, _) => Crashed;
        world.Denies = digest => digest == Old ? new StepFailure("denied", "a webhook denies it") : null;

        var exit = await RunAsync();

        Assert.That((exit, production.Reason()), Is.EqualTo((ExitCode.Refused, "rollback-failed")), production.Output);
        Assert.That(production.Text(),
            Does.StartWith("PRODUCTION NEEDS A PERSON NOW").And.Contain("a webhook denies it").And.Contain("it crashed"));
        Assert.That(production.Output, Does.Contain("promote.rollback-failed"));
        Assert.That(production.HandOver().Workloads.Single(),
            Is.EqualTo(new PromotedWorkload("greeter", "shop", New, Old) { State = "rolling back" }));
        Assert.That(world.Tags["1-production"], Is.EqualTo(Old), "no dependent takes a barred digest");

        // The next run goes on with the way back.
        world.Denies = _ => null;
        world.Fails = (_, digest) => digest == New ? Crashed : null;
        Assert.That((await RunAsync(), production.Reason()), Is.EqualTo((ExitCode.Refused, "barred")), production.Output);
        Assert.That(world.Live["shop"].Digest, Is.EqualTo(Old));
        Assert.That(production.HandOver().Workloads.Single().State, Is.EqualTo("rolled back"));
    }

    [Test]
    public async Task Goes_no_further_than_the_wave_that_fails_and_takes_the_earlier_one_back()
    {
        Begin(TwoWaves, "one", "two");
        await CertifiedAsync();
        world.Fails = (ns, digest) => ns == "two" && digest == New ? Crashed : null;

        await RunAsync();

        Assert.That(world.Live.Values.Select(live => live.Digest), Is.All.EqualTo(Old), production.Output);
        Assert.That(production.Text(),
            Does.Contain("greeter in two is rolled back").And.Contain("greeter in one is rolled back"));
    }

    [Test]
    public async Task The_first_image_of_a_new_major_that_fails_leaves_no_production_tag_and_no_workload()
    {
        Begin(OneWave);
        await production.CertifiedAsync("7", production.Image(New));
        world.Fails = (_, digest) => digest == New ? Crashed : null;

        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Refused), production.Output);

        Assert.That(world.Tags.Keys, Is.EqualTo(new[] { ImageBar }), production.Output);
        Assert.That(world.Live, Is.Empty);
        Assert.That(production.HandOver().Workloads.Single(),
            Is.EqualTo(new PromotedWorkload("greeter", "shop", null, null) { State = "nothing runs" }));
    }

    [Test]
    public async Task Killed_right_after_the_apply_the_next_run_goes_on_waiting_and_fails()
    {
        Begin(TwoWaves, "one", "two");
        await CertifiedAsync();
        world.Fails = (_, digest) => digest == New ? new StepFailure("rollout-timeout", "it never gets ready") { IsOwn = true }
            : null;
        world.After = (_, what) =>
        {
            if (what.StartsWith("APPLY", StringComparison.Ordinal)) throw new KilledException();
        };
        await RunAsync();
        Assert.That((world.Live["one"].Digest, world.Live["two"].Digest), Is.EqualTo((New, Old)));
        world.Revive();

        Assert.That((await RunAsync(), production.Reason()), Is.EqualTo((ExitCode.Refused, "rollout-failed")), production.Output);
        Assert.That(production.Text(), Does.Contain("it never gets ready"));
        Assert.That(world.Calls, Has.None.EqualTo("APPLY two sha256:11"), "the next wave was not rolled");
        Assert.That((world.Live["one"].Digest, world.Live["two"].Digest), Is.EqualTo((Old, Old)), "what ran before was not lost");
    }

    [Test]
    public async Task What_runs_already_but_does_not_serve_is_not_settled()
    {
        await CertifiedAsync();
        await RunAsync();
        world.Calls.Clear();
        world.Fails = (_, digest) => digest == New && !world.Calls.Contains("APPLY shop sha256:11") ? Crashed : null;

        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Done), production.Output);
        Assert.That(world.Calls, Does.Contain("APPLY shop sha256:11").And.Contain("roll shop"));
        Assert.That(production.HandOver().Workloads.Single().PreviousDigest, Is.EqualTo(Old));
    }

    [Test]
    public async Task A_second_one_at_the_same_moment_says_who_is_promoting_and_touches_nothing()
    {
        await CertifiedAsync();
        var second = (Exit: -1, Text: "", Writes: 0);
        world.Before = (_, what) =>
        {
            if (what != "roll shop" || second.Exit >= 0) return;
            var before = world.Writes.Count;
            second.Exit = 0;
            var exit = RunAsync().GetAwaiter().GetResult();
            second = (exit, production.Text(), world.Writes.Count - before);
        };

        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Done), production.Output);
        Assert.That((second.Exit, second.Writes), Is.EqualTo((ExitCode.Unavailable, 0)));
        Assert.That(second.Text, Does.Contain("build 6 is promoting there"));
    }

    [Test]
    public async Task Refuses_a_private_branch()
    {
        production.Clone.Branch("ci/x");
        production.Clone.Commit("greeter/x", "x");
        await CertifiedAsync();

        Assert.That((await RunAsync(), production.Reason(), world.Writes.Count),
            Is.EqualTo((ExitCode.Refused, "not-target-branch", 0)),
            production.Output);
        Assert.That((string?)production.Predicate()["fault"], Is.EqualTo("environment"));
    }

    [Test]
    public async Task Refuses_uncommitted_work()
    {
        await CertifiedAsync();
        production.Clone.Write("greeter/Dockerfile", "FROM other\n");

        Assert.That((await RunAsync(), production.Reason(), world.Writes.Count), Is.EqualTo((ExitCode.Refused, "dirty", 0)),
            production.Output);
    }

    [TestCase("8", "is of commit")]
    [TestCase(null, "there is no evidence")]
    public async Task Refuses_without_certifys_evidence_of_this_very_run(string? build, string expected)
    {
        if (build is not null) await production.CertifiedAsync(build, production.Image(New));

        Assert.That((await RunAsync(), production.Reason()), Is.EqualTo((ExitCode.Refused, "no-evidence")), production.Output);
        Assert.That(production.Text(), Does.Contain(expected));
    }

    [Test]
    public async Task Takes_no_certificate_of_a_run_that_did_not_know_the_target()
    {
        await CertifiedAsync();
        var file = Path.Combine(production.Clone.Folder, ".ci-steps/evidence/certify/statement.json");
        await File.WriteAllTextAsync(file, (await File.ReadAllTextAsync(file)).Replace("\"baseUnknown\": false",
            "\"baseUnknown\": true"));

        Assert.That((await RunAsync(), production.Reason(), world.Writes.Count),
            Is.EqualTo((ExitCode.Refused, "base-unknown", 0)), production.Output);
    }

    [Test]
    public async Task Takes_no_certificate_that_another_key_signed()
    {
        using var key = System.Security.Cryptography.ECDsa.Create(System.Security.Cryptography.ECCurve.NamedCurves.nistP256);
        using var other = System.Security.Cryptography.ECDsa.Create(System.Security.Cryptography.ECCurve.NamedCurves.nistP256);
        production.Environment["CISTEPS_SIGNING_KEY"] = other.ExportPkcs8PrivateKeyPem();
        await CertifiedAsync();
        production.Environment["CISTEPS_SIGNING_KEY"] = key.ExportPkcs8PrivateKeyPem();

        Assert.That((await RunAsync(), production.Reason(), world.Writes.Count),
            Is.EqualTo((ExitCode.Refused, "bad-signature", 0)), production.Output);
    }

    [Test]
    public async Task Demands_a_signature_when_told_to()
    {
        await CertifiedAsync();

        Assert.That((await RunAsync("--require-signed"), production.Reason()), Is.EqualTo((ExitCode.Refused, "not-signed")),
            production.Output);
    }

    [Test]
    public async Task Is_done_when_a_newer_commit_took_the_tag()
    {
        await CertifiedAsync();
        var certified = production.Clone.Head;
        var newer = production.Clone.Commit("greeter/text", "newer");
        production.Clone.Push();
        production.Clone.Git("checkout", "--quiet", certified);
        production.Environment["CISTEPS_BRANCH"] = "main";
        const string Newer = "sha256:2222222222222222222222222222222222222222222222222222222222222222";
        world.Tags["1-production"] = Newer;
        world.Commits[Newer] = newer;

        Assert.That((await RunAsync(), world.Writes.Count), Is.EqualTo((ExitCode.Done, 0)), production.Output);
        Assert.That(production.Text(), Does.Contain($"superseded by {newer[..12]}"));
    }

    [Test]
    public async Task A_tag_that_a_person_moved_back_stays_there()
    {
        await CertifiedAsync();
        world.Tags["1-production"] = Old;

        Assert.That((await RunAsync(), production.Reason(), world.Writes.Count),
            Is.EqualTo((ExitCode.Refused, "tag-moved", 0)), production.Output);
    }

    [Test]
    public async Task Needs_the_targets_kubeconfig()
    {
        await CertifiedAsync();
        production.Environment.Remove(Production.KubeconfigVariable);

        Assert.That(await RunAsync(), Is.EqualTo(ExitCode.Usage));
        Assert.That(production.Output, Does.Contain("SHOP_KUBECONFIG"));
    }

    [Test]
    public async Task Touches_production_on_a_laptop_only_by_name()
    {
        production.Environment.Remove("TEAMCITY_VERSION");
        await CertifiedAsync();

        Assert.That((await RunAsync(), world.Writes.Count), Is.EqualTo((ExitCode.Usage, 0)), production.Output);
        Assert.That(await RunAsync("--target", "elsewhere"), Is.EqualTo(ExitCode.Usage));
        Assert.That((await RunAsync("--dry-run"), world.Writes.Count), Is.EqualTo((ExitCode.Done, 0)), production.Output);
        Assert.That((await RunAsync("--target", "shop"), world.Writes.Count > 0), Is.EqualTo((ExitCode.Done, true)),
            production.Output);
    }

    [Test]
    public async Task Changes_nothing_where_it_runs_already()
    {
        await CertifiedAsync();
        await RunAsync();
        world.Calls.Clear();

        Assert.That((await RunAsync(), world.Writes.Count), Is.EqualTo((ExitCode.Done, 0)), production.Output);
        Assert.That(production.Text(), Is.EqualTo("production runs these images already"));
        Assert.That(world.Calls, Has.None.StartsWith("hold"), "reading needs no lease");
    }

    [Test]
    public async Task Touches_nothing_while_production_is_frozen_unless_told_by_the_freezes_name()
    {
        production.Dispose();
        production = new Production("registry.example", OneWave, timeLimit: "500ms",
            freezes: "[{ name: year-end, from: 2020-01-01T00:00, until: 2199-01-01T00:00, zone: Europe/Berlin }]");
        production.Environment[Production.KubeconfigVariable] = "kubeconfig";
        await CertifiedAsync();

        Assert.That((await RunAsync(), production.Reason(), world.Writes.Count), Is.EqualTo((ExitCode.Refused, "frozen", 0)),
            production.Output);
        Assert.That(production.Text(), Does.Contain("\"year-end\"").And.Contain("2198-12-31 23:00Z").And.Contain(
            "--override-freeze year-end"));
        Assert.That(await RunAsync("--override-freeze", "other"), Is.EqualTo(ExitCode.Usage), production.Output);
        Assert.That(await RunAsync("--override-freeze", "year-end"), Is.EqualTo(ExitCode.Done), production.Output);
    }

    [Test]
    public async Task Rolls_out_one_wave_alone_and_only_in_their_order()
    {
        Begin(TwoWaves, "one", "two");
        await CertifiedAsync();

        Assert.That((await RunAsync("--only-wave", "second"), production.Reason(), world.Writes.Count),
            Is.EqualTo((ExitCode.Refused, "wave-order", 0)), production.Output);
        Assert.That(await RunAsync("--only-wave", "third"), Is.EqualTo(ExitCode.Usage), production.Output);
        Assert.That(await RunAsync("--only-wave", "first"), Is.EqualTo(ExitCode.Done), production.Output);
        Assert.That((world.Live["one"].Digest, world.Live["two"].Digest), Is.EqualTo((New, Old)));
        Assert.That(await RunAsync("--only-wave", "second"), Is.EqualTo(ExitCode.Done), production.Output);
        Assert.That((world.Live["one"].Digest, world.Live["two"].Digest), Is.EqualTo((New, New)));
    }

    [Test]
    public async Task Asks_for_its_rights_before_the_first_write()
    {
        await CertifiedAsync();
        world.Lack.Add("patch deployments.apps");

        Assert.That((await RunAsync(), world.Writes.Count), Is.EqualTo((ExitCode.Usage, 0)), production.Output);
        Assert.That(production.Output, Does.Contain("patch deployments.apps (target \"shop\")"));
        Assert.That(world.Calls, Has.None.StartsWith("hold"));
    }

    [Test]
    public async Task Prints_what_was_promoted_where()
    {
        await CertifiedAsync();
        await RunAsync();
        world.Calls.Clear();

        Assert.That((await RunAsync("--history"), world.Writes.Count), Is.EqualTo((ExitCode.Done, 0)), production.Output);
        Assert.That(production.Output, Does.Match("shop +greeter +20.*promoted +sha256:111111111111 +build 7"));
    }

    [Test]
    public async Task Goes_back_when_a_person_says_so_and_the_tags_follow()
    {
        Begin(TwoWaves, "one", "two");
        await CertifiedAsync();
        await RunAsync();
        world.Calls.Clear();

        Assert.That((await RunAsync("--roll-back", "--dry-run"), world.Writes.Count), Is.EqualTo((ExitCode.Done, 0)),
            production.Output);
        Assert.That(await RunAsync("--roll-back"), Is.EqualTo(ExitCode.Done), production.Output);
        Assert.That((world.Live["one"].Digest, world.Live["two"].Digest), Is.EqualTo((Old, Old)));
        Assert.That(world.Tags, Is.EquivalentTo(new Dictionary<string, string> { ["1-production"] = Old, ["latest"] = Old }));
        Assert.That(production.HandOver().Workloads.Select(workload => (workload.Digest, workload.State)),
            Is.All.EqualTo(((string?)Old, "rolled back")));

        Assert.That(await RunAsync("--roll-back", "--to", New), Is.EqualTo(ExitCode.Done), production.Output);
        Assert.That((world.Live["one"].Digest, world.Live["two"].Digest), Is.EqualTo((New, New)));
        Assert.That(await RunAsync("--roll-back", "--to", "1.7"), Is.EqualTo(ExitCode.Usage), production.Output);
        Assert.That(await RunAsync("--to", New), Is.EqualTo(ExitCode.Usage), production.Output);
    }

    [Test]
    public async Task Deploys_and_goes_back_by_the_name_that_nodes_pull()
    {
        await CertifiedAsync();
        world.Fails = (_, digest) => digest == New ? Crashed : null;

        await RunAsync("--registry-pull", "pull.example/cache");

        Assert.That(
            world.Applied, Is.EqualTo(new[] { $"pull.example/cache/greeter@{New}", $"pull.example/cache/greeter@{Old}" }));
    }

    private const string ImageBar = "barred-11111111111111111111111111111111";

    private Task CertifiedAsync() => production.CertifiedAsync("7", production.Image(New, Old));

    private Task<int> RunAsync(params string[] more) => production.RunAsync(PromoteCommand.Create(world.World), "7", more);
}
