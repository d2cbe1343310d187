using CiSteps.Hosting.Evidence;
using CiSteps.Pipeline;
using CiSteps.Testbeds.Claims;

namespace CiSteps.ReserveTestbed;

/// <summary>Which suites have to run and which testbeds are still missing for them.</summary>
/// <param name="Wishes">One per suite that has to run.</param>
/// <param name="Held">Testbeds that the chain holds already for one of them.</param>
/// <param name="Superfluous">Claims of the chain for suites that need not run (any more).</param>
/// <param name="Reason">Why these suites and no others.</param>
internal sealed record ReserveTestbedPlan(
    IReadOnlyList<TestbedWish> Wishes, IReadOnlyList<HeldTestbed> Held, IReadOnlyList<string> Superfluous, string Reason)
{
    /// <summary>Whether everything that is needed is held.</summary>
    public bool IsEmpty => Held.Count == Wishes.Count && Superfluous.Count == 0;

    /// <summary>Suites that concern a component with a new image, or that the change touches themselves.</summary>
    public static IReadOnlyList<TestbedWish> Needed(PipelineDefinition policy, IReadOnlyList<BuiltImage> images,
        IReadOnlySet<string> changed)
    {
        var built = images.Where(image => image.Built).Select(image => image.Component).ToHashSet(StringComparer.Ordinal);
        return [.. policy.Suites.Where(suite => built.Any(suite.Covers)
            || changed.Contains(suite.Name) && images.Any(image => suite.Covers(image.Component))).Select(suite =>
                new TestbedWish(suite.Name, suite.Class))];
    }

    public static ReserveTestbedPlan For(PipelineDefinition policy, IReadOnlyList<BuiltImage> images,
        IReadOnlySet<string> changed,
        IReadOnlyList<HeldTestbed> held)
    {
        var wishes = Needed(policy, images, changed);
        var useful = held.Where(one => wishes.Contains(new TestbedWish(one.Suite, one.Class))).ToList();
        var built = images.Where(image => image.Built).Select(image => image.Component).ToList();
        var own = wishes.Where(wish => changed.Contains(wish.Suite)).Select(wish => wish.Suite).ToList();
        var reason = built.Count == 0 && own.Count > 0
            ? $"the change touches what {Listed(own)} {(own.Count == 1 ? "is" : "are")} made of"
            : built.Count == 0 ? "no image was built"
            : wishes.Count == 0 ? $"no suite concerns {Listed(built)}"
            : $"new images of {Listed(built)}";
        return new(wishes, useful, [.. held.Except(useful).Select(one => one.Claim)], reason);
    }

    public override string ToString() => Wishes.Count == 0
        ? $"nothing to reserve: {Reason}"
        : $"{Reason}: " + string.Join(", ", Wishes.Select(wish => Held.FirstOrDefault(one => one.Suite == wish.Suite) is { } held
            ? $"suite \"{wish.Suite}\" already holds \"{held.Testbed}\" under lease {held.Lease}"
                : $"suite \"{wish.Suite}\" needs a testbed of class \"{wish.Class}\""))
          + (Superfluous.Count == 0 ? "" : $"; given back: {string.Join(", ", Superfluous)}");

    private static string Listed(IReadOnlyList<string> names) => string.Join(", ", names.Select(name => $"\"{name}\""));
}
