using System.Globalization;
using CiSteps.Hosting.Evidence;
using CiSteps.Images;

namespace CiSteps.Certify;

/// <summary>
/// What the summary beside a certified image says in its annotations. The list of what refers to the image repeats them, so that
/// one call tells it, however many platforms the image has.
/// </summary>
/// <param name="Revision">Commit that the image was built from.</param>
/// <param name="Version">Its version tag.</param>
/// <param name="Previous">Digest that the production tag pointed to before, <see cref="Nothing"/> when it was absent; null when
/// the run that wrote it did not know.</param>
/// <param name="Created">When it was written.</param>
internal sealed record Certificate(string Revision, string Version, string? Previous, DateTimeOffset Created)
{
    /// <summary>The production tag was absent.</summary>
    public const string Nothing = "none";

    private const string PreviousName = "dev.cisteps.previous";

    /// <summary>Reads the annotations; null when they are of something else, or do not say all.</summary>
    public static Certificate? Read(IReadOnlyDictionary<string, string> annotations)
    {
        if (annotations.GetValueOrDefault(Attestation.PredicateAnnotation) != PredicateTypes.VerificationSummary
            || annotations.GetValueOrDefault(ImageName.RevisionLabel) is not { Length: > 0 } revision
            || annotations.GetValueOrDefault(ImageName.VersionLabel) is not { Length: > 0 } version
            || !DateTimeOffset.TryParse(annotations.GetValueOrDefault(ImageName.CreatedLabel), CultureInfo.InvariantCulture,
                DateTimeStyles.AssumeUniversal, out var created)) return null;
        var previous = annotations.GetValueOrDefault(PreviousName);
        return new Certificate(
            revision, version, previous == Nothing || ImageReference.IsDigest(previous) ? previous : null, created);
    }

    /// <summary>The same as annotations.</summary>
    public IReadOnlyDictionary<string, string> ToAnnotations()
    {
        var annotations = new Dictionary<string, string>
        {
            [ImageName.RevisionLabel] = Revision,
            [ImageName.VersionLabel] = Version,
            [ImageName.CreatedLabel] = Created.ToString("O", CultureInfo.InvariantCulture),
        };
        if (Previous is not null) annotations[PreviousName] = Previous;
        return annotations;
    }
}
