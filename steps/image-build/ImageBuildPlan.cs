using CiSteps.Hosting;
using CiSteps.Images;

namespace CiSteps.ImageBuild;

/// <summary>What is known about one component with an image.</summary>
/// <param name="Component">Name in ci-steps.yaml.</param>
/// <param name="Changed">Whether the change touches it.</param>
/// <param name="Reason">Why it counts as changed or not.</param>
/// <param name="Name">Repository and tag that its image would get.</param>
/// <param name="Existing">What that tag points to now; null when it is absent.</param>
/// <param name="CertifiedName">The tag that marks what is ready for production.</param>
/// <param name="Certified">What that points to; null before the first release.</param>
/// <param name="NeededBy">A suite that has to deploy it beside a changed component; null when none has.</param>
internal sealed record ComponentFacts(string Component, bool Changed, string Reason, ImageReference Name, TaggedImage? Existing,
    ImageReference CertifiedName, TaggedImage? Certified, string? NeededBy)
{
    /// <summary>Fingerprint of all that it would be built from; null when reuse is not asked for or there is none.</summary>
    public string? Inputs { get; init; }
}

/// <summary>All that the step decides on.</summary>
/// <param name="Commit">Full id of the commit.</param>
/// <param name="Dirty">Whether the work tree has uncommitted changes.</param>
/// <param name="Components">The components with an image.</param>
internal sealed record ImageBuildFacts(string Commit, bool Dirty, IReadOnlyList<ComponentFacts> Components);

/// <summary>What happens for a component.</summary>
internal enum ImageAct
{
    /// <summary>Build and push.</summary>
    Build,

    /// <summary>An earlier run of this step did it.</summary>
    AlreadyDone,

    /// <summary>It would be built from what the certified image was built from: that one gets the new tag.</summary>
    Reuse,

    /// <summary>Nothing of it changed: the certified image stands.</summary>
    UseCertified,

    /// <summary>Nothing of it changed, there is no certified image, and nobody needs one.</summary>
    Skip,

    /// <summary>Its tag belongs to something else.</summary>
    Refuse,
}

/// <summary>The decision for one component.</summary>
/// <param name="Facts">What it rests on.</param>
/// <param name="Act">What happens.</param>
/// <param name="Text">The same for people.</param>
internal sealed record ImageAction(ComponentFacts Facts, ImageAct Act, string Text);

/// <summary>What image-build does.</summary>
/// <param name="Actions">One per component with an image.</param>
internal sealed record ImageBuildPlan(IReadOnlyList<ImageAction> Actions)
{
    /// <summary>What is refused, a line per component; empty when nothing is.</summary>
    public string Refusal =>
        string.Join('\n', Actions.Where(action => action.Act == ImageAct.Refuse).Select(action => action.Text));

    /// <summary>What is not refused, a line per component.</summary>
    public string Standing => Refusal.Length == 0 ? Text
        : string.Join('\n', Actions.Where(action => action.Act != ImageAct.Refuse).Select(action => action.Text));

    /// <summary>The decision for people, a line per component.</summary>
    public string Text =>
        Actions.Count == 0
            ? "no component of this repository has an image"
            : string.Join('\n', Actions.Select(action => action.Text));

    public static ImageBuildPlan For(ImageBuildFacts facts) =>
        new([.. facts.Components.Select(component => Decide(component, facts))]);

    private static ImageAction Decide(ComponentFacts component, ImageBuildFacts facts)
    {
        if (!component.Changed && component.Certified is { } certified)
            return new(component, ImageAct.UseCertified,
                $"{component.Component}: {component.Reason}; the certified image stands ({component.CertifiedName}, " +
                $"{certified.Digest})");
        if (!component.Changed && component.NeededBy is null)
            return new(component, ImageAct.Skip,
                $"{component.Component}: {component.Reason}; there is no certified image and nothing here needs one");
        var reason = component.Changed
            ? component.Reason
            : $"{component.Reason}, but suite \"{component.NeededBy}\" deploys it and there is no certified image";
        if (component.Inputs is not null
            && component.Certified is { } equal
            && equal.Inputs == component.Inputs
            && (component.Existing is null || component.Existing.Digest == equal.Digest))
            return new(component, ImageAct.Reuse,
                $"{component.Component}: reuse the certified image {equal.Version ?? equal.Digest} as {component.Name}: " +
                $"{reason}, but its files, parameters and base images are the ones that image was built from");
        if (component.Existing is not { } existing)
            return new(component, ImageAct.Build, $"{component.Component}: build {component.Name} ({reason})");
        // The tag names commit and build number; the labels say that the image is really from them. Uncommitted changes have no
        // name of their own.
        return existing.Revision == facts.Commit && existing.Version == component.Name.Tag && !facts.Dirty
            ? new(component, ImageAct.AlreadyDone,
                $"{component.Component}: {component.Name} is already in the registry, built from this commit ({existing.Digest})")
            : new(component, ImageAct.Refuse, $"the tag \"{component.Name}\" is taken by another image ({existing.Digest}, " +
                (existing.Revision is null
                    ? "of unknown origin"
                    : $"built from {ShortId.Of(existing.Revision)} as \"{existing.Version}\"") +
                "); an image's tag is never overwritten: run the chain with a new build number");
    }
}
