using System.Collections.Concurrent;
using CiSteps.Hosting;

namespace CiSteps.Images;

/// <summary>Where registry credentials come from: the step's environment for the pipeline's own registry, then docker's config.json and its helpers.</summary>
public sealed class RegistryCredentials
{
    /// <summary>Variable (or its <c>_FILE</c> form) with the user of the pipeline's registry.</summary>
    public const string UserVariable = "CISTEPS_REGISTRY_USER";

    /// <summary>Variable (or its <c>_FILE</c> form) with the password of the pipeline's registry.</summary>
    public const string PasswordVariable = "CISTEPS_REGISTRY_PASSWORD";

    private readonly IReadOnlySet<string> ownHosts;
    private readonly RegistryCredential? own;
    private readonly SecretMask? mask;
    private readonly Lazy<DockerConfiguration> configuration;
    private readonly ConcurrentDictionary<string, (RegistryCredential, string)?> found = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>Credentials from given places.</summary>
    /// <param name="own">For the pipeline's own registry; null: look in docker's configuration.</param>
    /// <param name="ownHosts">Hosts (<c>host[:port]</c>) of the pipeline's own registry.</param>
    /// <param name="environment">Names docker's configuration folder (DOCKER_CONFIG, HOME) and is given to credential helpers.</param>
    /// <param name="mask">Learns each secret that is found.</param>
    public RegistryCredentials(RegistryCredential? own, IEnumerable<string> ownHosts, IReadOnlyDictionary<string, string> environment, SecretMask? mask = null)
    {
        (this.own, this.ownHosts, this.mask) = (own, ownHosts.ToHashSet(StringComparer.OrdinalIgnoreCase), mask);
        configuration = new(() => DockerConfiguration.Read(environment));
    }

    /// <summary>What the environment gives for the pipeline's own registry, by host; empty when it gives nothing.</summary>
    internal IReadOnlyList<(string Host, RegistryCredential Credential)> Given => own is null ? [] : [.. ownHosts.Select(host => (host, own))];

    /// <summary>No credentials at all.</summary>
    public static RegistryCredentials None { get; } = new(null, [], new Dictionary<string, string>());

    /// <summary>A step's credentials.</summary>
    /// <param name="context">The step.</param>
    /// <param name="registries">The pipeline's own registries, <c>host[:port][/prefix]</c>: only they get what the environment gives.</param>
    /// <exception cref="UsageException">A user without a password, or the other way round.</exception>
    public static RegistryCredentials Of(StepContext context, params IEnumerable<string> registries)
    {
        ArgumentNullException.ThrowIfNull(context);
        var environment = context.Settings.Environment;
        var user = environment.GetValueOrDefault(UserVariable) is { Length: > 0 } plain ? plain
            : environment.ContainsKey(UserVariable + "_FILE") ? context.FindSecret(UserVariable) : null;
        var password = context.FindSecret(PasswordVariable);
        if ((user is null) != (password is null))
            throw new UsageException($"{(user is null ? PasswordVariable : UserVariable)} is set and {(user is null ? UserVariable : PasswordVariable)} is not: give both or none");
        return new RegistryCredentials(user is null ? null : new RegistryCredential(user, password!), registries.Select(HostOf), environment, context.Log.Mask);
    }

    /// <summary>The credential for a host; null when there is none.</summary>
    /// <exception cref="UsageException">docker's configuration cannot be read, or a helper fails.</exception>
    public async Task<RegistryCredential?> FindAsync(string host, CancellationToken cancel = default) =>
        (await LookUpAsync(host, cancel).ConfigureAwait(false))?.Credential;

    internal async Task<(RegistryCredential Credential, string Source)?> LookUpAsync(string host, CancellationToken cancel)
    {
        if (found.TryGetValue(host, out var known)) return known;
        (RegistryCredential Credential, string Source)? credential = own is not null && ownHosts.Contains(host)
            ? (own, "the environment")
            : await configuration.Value.FindAsync(host, cancel).ConfigureAwait(false);
        if (credential is { } learnt && mask is not null)
        {
            if (learnt.Credential.Password.Length > 0) mask.Add(learnt.Credential.Password);
            if (learnt.Credential.IdentityToken is { } token) mask.Add(token);
        }
        return found[host] = credential;
    }

    private static string HostOf(string registry)
    {
        var slash = registry.IndexOf('/', StringComparison.Ordinal);
        return slash < 0 ? registry : registry[..slash];
    }
}
