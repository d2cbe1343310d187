using System.Text;
using System.Text.RegularExpressions;
using CiSteps.Hosting;

namespace CiSteps.Cli.Scaffolding;

/// <summary>
/// A first ci-steps.yaml from what a repository holds: Dockerfiles, manifests, test projects. A person reads it before it is
/// used: what only they know is marked.
/// </summary>
internal static partial class StarterPipeline
{
    /// <summary>Stands where only a person knows what belongs there.</summary>
    internal const string Mark = "# <-";

    private const string Header = $"""
        # A first pipeline file, made from what stands in this repository; ci-steps.schema.json explains every key.
        # Read it, mend what is marked "{Mark}", uncomment what you want, then remove these two lines.


        """;

    /// <summary>The file's text.</summary>
    /// <param name="folder">The work tree.</param>
    /// <param name="service">Name of a component that is the whole repository.</param>
    /// <param name="targetBranch">Where releases come from.</param>
    /// <param name="privateBranches">Pattern of private branches.</param>
    /// <exception cref="UsageException">The service's name gives no component's name.</exception>
    public static string For(string folder, string service, string targetBranch, string privateBranches)
    {
        var name = Slug(service) is { Length: > 0 } slug
            ? slug
            : throw new UsageException($"the service name \"{service}\" gives no component's name");
        var found = StarterComponents.In(folder, name);
        var text = new StringBuilder(Header.ReplaceLineEndings("\n"));
        text.Append($"registry:\n  push: registry.example.com {Mark} your registry: host[:port][/prefix]\n\n");
        text.Append($"branches:\n  target: {Scalar(targetBranch)}\n  private: {Scalar(privateBranches)}\n\ncomponents:\n");
        foreach (var component in found.Components) Append(text, component);
        foreach (var hint in found.Hints) text.Append($"  {Mark} {hint}\n");
        if (found.Components.Any(component => component.Workload is not null)) text.Append(WhereItRuns.ReplaceLineEndings("\n"));
        text.Append(
            $"\nnotifications:\n  owners:\n    team:\n      webhook: env:CISTEPS_NOTIFICATION_WEBHOOK {Mark} the variable on " +
            "the agents with the address; or email: you@example.com\n");
        return text.ToString();
    }

    /// <summary>A name as components have it.</summary>
    internal static string Slug(string text)
    {
        var slug = NotSlug().Replace(text.ToLowerInvariant(), "-").Trim('-');
        return slug.Length <= 63 ? slug : slug[..63].Trim('-');
    }

    private const string WhereItRuns = $"""

        {Mark} A suite deploys to a testbed and tests there.
        {Mark} Its job is a manifest of yours with one Job, whose log is the report (TAP, for one).
        # integration:
        #   - name: smoke
        #     class: small
        #     namespace: smoke
        #     tests:
        #       job: integration/job.yaml

        {Mark} Where the certified images go. The namespace has to exist; kubeconfig names the variable with the file's path.
        # production:
        #   waves:
        #     - name: all
        #       targets:
        #         - name: production
        #           kubeconfig: CISTEPS_PRODUCTION_KUBECONFIG
        #           namespace: default

        """;

    private static void Append(StringBuilder text, StarterComponent component)
    {
        text.Append(
            $"  - name: {component.Name}\n    paths: [{string.Join(", ", component.Paths.Select(Scalar))}]\n    owners: " +
            "[team]\n    major: 1\n");
        foreach (var hint in component.Tests.Where(test => test.Command is null))
            text.Append($"    {Mark} tests in {(hint.Folder.Length == 0 ? "." : hint.Folder)}: {hint.Hint}\n");
        var runs = component.Tests.Where(test => test.Command is not null).ToList();
        if (runs.Count > 0)
            text.Append(
                $"    {Mark} with an image: each command runs in a container of it, " +
                "and an agent needs nothing but the engine\n    unit-tests:\n");
        else
            text.Append(
                $"    {Mark} a command that writes a report (JUnit, TRX, TAP), in an image if you like; " +
                "without it no unit test is run\n    # unit-tests:\n    #   - name: unit\n    #     run: sh test.sh\n");
        foreach (var test in runs)
        {
            text.Append($"      - name: {Scalar(test.Name)}\n        run: {Scalar(test.Command!)}\n");
            if (test.Folder.Length > 0) text.Append($"        folder: {Scalar(test.Folder)}\n");
            if (test.Reports is { } reports)
                text.Append($"        reports: [{Scalar((test.Folder.Length > 0 ? test.Folder + "/" : "") + reports)}]\n");
            text.Append($"        format: {test.Format}\n");
        }
        if (component.Image is { } image)
            text.Append($"    image:\n      dockerfile: {Scalar(image.Dockerfile)}\n      context: {Scalar(image.Context)}\n");
        else
            text.Append(
                $"    {Mark} there is no Dockerfile; without an image nothing is built, " +
                "certified or rolled out\n    # image:\n    #   dockerfile: Dockerfile\n    #   context: .\n");
        if (component.Workload is { } workload)
            text.Append(
                $"    workload:\n      manifests: [{Scalar(workload.Manifests)}]\n      kind: {workload.Kind}\n      name: " +
                $"{workload.Name}\n      container: {workload.Container}\n");
        else if (component.Image is not null)
            text.Append(
                $"    {Mark} no manifest of a Deployment, StatefulSet or DaemonSet was found for it; " +
                "without a workload it is deployed nowhere\n    # workload:\n    #   manifests: [k8s]\n");
    }

    internal static string Scalar(string text) =>
        Plain().IsMatch(text)
            ? text
            : "\"" + text.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal) + "\"";

    [GeneratedRegex(@"[^a-z0-9-]+")]
    private static partial Regex NotSlug();

    // Words that YAML would read as something else are quoted too.
    [GeneratedRegex(@"^(?!(?:true|false|yes|no|on|off|null)$)[A-Za-z][\w./ =-]*(?<! )$", RegexOptions.IgnoreCase)]
    private static partial Regex Plain();
}
