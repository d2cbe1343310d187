using CiSteps.Hosting;
using CiSteps.Hosting.Options;
using CiSteps.Pipeline;

namespace CiSteps.Promote;

/// <summary>What promote may be asked, and who does it.</summary>
internal static class PromoteCommand
{
    internal static readonly StepOption<string> Target = StepOption.Text("target",
        "production targets by name, comma-separated; default: all on a build server, none on a laptop");

    internal static readonly StepOption<string> Who = StepOption.Text("who", "who promotes, for the history", null,
        "teamcity.build.triggeredBy.username", "teamcity.build.triggeredBy");

    internal static readonly StepOption<bool> RequireSigned = StepOption.Switch(ChainEvidence.RequireSignedName,
        "refuse certify's evidence unless it is signed by the known key");

    internal static readonly StepOption<string> AllowBarred = StepOption.Text("allow-barred",
        "digest (sha256:…) that may be promoted although an earlier roll-out of it failed");

    internal static readonly StepOption<string> OverrideFreeze = StepOption.Text("override-freeze",
        "name of the freeze of ci-steps.yaml in which production is changed all the same");

    internal static readonly StepOption<string> OnlyWave = StepOption.Text("only-wave",
        "wave that is rolled out and no other; those before it must be settled");

    internal static readonly StepOption<bool> History = StepOption.Switch("history", "print what was promoted where, and stop");

    internal static readonly StepOption<bool> RollBack = StepOption.Switch("roll-back",
        "go back to what ran before, tags too; needs no certificate, and is never frozen");

    internal static readonly StepOption<string> To = StepOption.Text("to",
        "digest (sha256:…) that --roll-back goes back to; default: what ran before");

    internal static readonly StepOption<TimeSpan> Lease = StepOption.Duration("lease",
        "how long production stays held for a promote that has died; one that lives renews it", "30s");

    public static StepCommand Create(Ports? world = null) => new(
        "promote",
        "Reads what certify tagged; rolls it out to production wave by wave, by digest, behind health gates; rolls back and " +
            "bars the digest when that fails; hands over what runs where. Default branch only.",
        [.. ChainRun.Options, .. Adapters.Options, Target, Who, RequireSigned, AllowBarred, OverrideFreeze, OnlyWave, History,
            RollBack, To, Lease],
        (context, cancel) => new PromoteStep(world ?? Adapters.World, context).RunAsync(cancel));
}
