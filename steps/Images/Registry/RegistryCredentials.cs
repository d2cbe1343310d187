using System.Collections.Concurrent;
using CiSteps.Hosting;

namespace CiSteps.Images;

/// <summary>
/// Where registry credentials come from: the step's environment for the pipeline's own registry, then docker's config.json and
/// its helpers.
/// </summary>
public sealed class RegistryCredentials
{
    /// <summary>Variable (or its <c>_FILE</c> form) with the user of the pipeline's registry.</summary>
    public const string UserVariable = "CISTEPS_REGISTRY_USER";

    /// <summary>Variable (or its <c>_FILE</c> form) with the password of the pipeline's registry.</summary>
    public const string PasswordVariable = "CISTEPS_REGISTRY_PASSWORD";

    private readonly IReadOnlySet<string> ownHosts;
    private readonly RegistryCredential? own;
    private readonly BuildLog log;
    private readonly Lazy<DockerConfiguration> configuration;
    private readonly ConcurrentDictionary<string, Lazy<Task<CredentialLookUp>>> found = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>Credentials from given places.</summary>
    /// <param name="own">For the pipeline's own registry; null: look in docker's configuration.</param>
    /// <param name="ownHosts">Hosts (<c>host[:port]</c>) of the pipeline's own registry.</param>
    /// <param name="environment">Names docker's configuration folder (DOCKER_CONFIG, HOME) and the proxies, and is given to
    /// credential helpers.</param>
    /// <param name="log">Told, once a host, of helpers that fail; its mask learns each secret that is found. Null: nobody
    /// is.</param>
    public RegistryCredentials(
        RegistryCredential? own, IEnumerable<string> ownHosts, IReadOnlyDictionary<string, string> environment,
        BuildLog? log = null)
    {
        (this.own, this.log, Environment) = (own, log ?? BuildLog.Silent, environment);
        this.ownHosts = ownHosts.ToHashSet(StringComparer.OrdinalIgnoreCase);
        configuration = new(() => DockerConfiguration.Read(environment));
    }

    /// <summary>What the environment gives for the pipeline's own registry, by host; empty when it gives nothing.</summary>
    internal IReadOnlyList<(string Host, RegistryCredential Credential)> FromEnvironment =>
        own is null ? [] : [.. ownHosts.Select(host => (host, own))];

    /// <summary>No credentials at all, and no proxies.</summary>
    public static RegistryCredentials None { get; } = new(null, [], new Dictionary<string, string>());

    internal IReadOnlyDictionary<string, string> Environment { get; }

    /// <summary>A step's credentials.</summary>
    /// <param name="context">The step that asks: its options, log, clock and environment.</param>
    /// <param name="registries">The pipeline's own registries, <c>host[:port][/prefix]</c>: only they get what the environment
    /// gives.</param>
    /// <exception cref="UsageException">A user without a password, or the other way round; or a registry that is not
    /// one.</exception>
    public static RegistryCredentials Of(StepContext context, params IEnumerable<string> registries)
    {
        ArgumentNullException.ThrowIfNull(context);
        var environment = context.Options.Environment;
        var user = environment.GetValueOrDefault(UserVariable) is { Length: > 0 } plain ? plain
            : environment.ContainsKey(UserVariable + "_FILE") ? context.FindSecret(UserVariable) : null;
        var password = context.FindSecret(PasswordVariable);
        if ((user is null) != (password is null))
            throw new UsageException(
                $"{(user is null ? PasswordVariable : UserVariable)} is set and " +
                $"{(user is null ? UserVariable : PasswordVariable)} is not: give both or none");
        var own = user is null ? null : new RegistryCredential(user, password!);
        return new RegistryCredentials(own, HostsOf(registries), environment, context.Log);
    }

    /// <summary>
    /// The credential for a host; null when there is none. A helper that fails is a warning, as most images can be read by
    /// everybody: whether credentials are needed is the registry's to say.
    /// </summary>
    /// <exception cref="UsageException">docker's configuration cannot be read.</exception>
    public async Task<RegistryCredential?> FindAsync(string host, CancellationToken cancel = default) =>
        (await LookUpAsync(host, cancel).ConfigureAwait(false)).Credential;

    /// <summary>What to do where an engine says that a registry did not take what it was given: the end of a sentence.</summary>
    /// <param name="host">The registry's host.</param>
    /// <param name="cancel">Gives up.</param>
    public async Task<string> AdviceAsync(string host, CancellationToken cancel = default)
    {
        var lookUp = await LookUpAsync(host, cancel).ConfigureAwait(false);
        if (lookUp.Credential is not { } given) return "of credentials, " + lookUp.WhyNone;
        var trouble = lookUp.Trouble is null ? "" : $" (which were taken because {lookUp.Trouble})";
        return $"the credentials from {lookUp.Source}{trouble} were refused: give \"{given.User}\" the right, or set "
            + $"{UserVariable} and {PasswordVariable} to another user";
    }

    internal async Task<CredentialLookUp> LookUpAsync(string host, CancellationToken cancel)
    {
        // Many ask at once; a helper is asked once a host.
        var lookUp = found.GetOrAdd(host, name => new Lazy<Task<CredentialLookUp>>(() => ReadAsync(name, cancel)));
        try
        {
            return await lookUp.Value.WaitAsync(cancel).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            found.TryRemove(KeyValuePair.Create(host, lookUp));
            throw;
        }
    }

    /// <summary>Hosts of registries, as images below them have them; a pipeline without a registry has none.</summary>
    internal static IReadOnlyList<string> HostsOf(IEnumerable<string> registries) =>
        [.. registries.Where(registry => registry.Length > 0).Select(registry => RegistryPrefix.Parse(registry).Host)];

    private async Task<CredentialLookUp> ReadAsync(string host, CancellationToken cancel)
    {
        if (own is not null && ownHosts.Contains(host)) return Learnt(new CredentialLookUp(own, "the environment"));
        var read = await configuration.Value.FindAsync(host, cancel).ConfigureAwait(false);
        if (read.Trouble is { } trouble)
            log.Warning($"cannot look for credentials of the registry \"{host}\": {trouble}; going on "
                + $"{(read.Credential is null ? "without any" : $"with those in {read.Source}")}");
        return Learnt(read);
    }

    private CredentialLookUp Learnt(CredentialLookUp read)
    {
        if (read.Credential is { Password.Length: > 0 } learnt) log.Mask.Add(learnt.Password);
        if (read.Credential?.IdentityToken is { } token) log.Mask.Add(token);
        return read;
    }
}
