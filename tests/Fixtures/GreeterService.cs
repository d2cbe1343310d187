namespace CiSteps.Fixtures;

/// <summary>The service of the tests with a cluster: one component, <c>greeter</c>, with a Dockerfile and a workload.</summary>
public static class GreeterService
{
    /// <summary>Writes it into an empty clone, commits and pushes it.</summary>
    /// <param name="clone">Where.</param>
    /// <param name="registry">The registry.</param>
    /// <param name="rest">The sections of ci-steps.yaml behind <c>components</c>.</param>
    /// <param name="workload">The component's manifests.</param>
    /// <param name="more">More files, path and text.</param>
    public static void Begin(
        GitClone clone, string registry, string rest, string workload, params IReadOnlyList<(string Path, string Text)> more)
    {
        ArgumentNullException.ThrowIfNull(clone);
        clone.Write("ci-steps.yaml", $$"""
            registry: { push: "{{registry}}" }
            components:
              - name: greeter
                major: 1
                paths: [greeter/**]
                image: { context: greeter }
                workload: { manifests: [greeter/k8s], kind: Deployment, name: greeter, container: greeter, time-limit: 1m }

            """ + rest);
        clone.Write("greeter/Dockerfile", "FROM scratch\n");
        clone.Write("greeter/k8s/greeter.yaml", workload);
        foreach (var (path, text) in more) clone.Write(path, text);
        clone.Commit("Begin");
        clone.Push();
    }
}
