namespace CiSteps.Images;

/// <summary>
/// Proxies that docker's config.json (<c>proxies</c>) has for what runs in an engine: docker's client gives them to builds as
/// build arguments and to containers as variables. How registries are reached is decided by the environment alone.
/// </summary>
public static class ProxyArguments
{
    /// <summary>
    /// HTTP_PROXY, HTTPS_PROXY, NO_PROXY, FTP_PROXY and ALL_PROXY with the same in small letters, as far as they are given. They
    /// are predefined build arguments: a Dockerfile need not declare them, and an image's history does not show them. What the
    /// pipeline's author gives under the same name counts before them.
    /// </summary>
    /// <param name="environment">Names docker's configuration folder (DOCKER_CONFIG, HOME).</param>
    /// <param name="endpoint">The engine's address as it is configured, such as <c>unix:///var/run/docker.sock</c>.</param>
    /// <param name="log">Its mask learns the passwords in them.</param>
    /// <exception cref="Hosting.UsageException">docker's configuration cannot be read.</exception>
    public static IReadOnlyDictionary<string, string> For(
        IReadOnlyDictionary<string, string> environment, string endpoint, Hosting.BuildLog log)
    {
        ArgumentNullException.ThrowIfNull(log);
        var arguments = DockerConfiguration.Read(environment).ProxyArguments(endpoint);
        foreach (var value in arguments.Values)
        {
            if (!Uri.TryCreate(value, UriKind.Absolute, out var proxy)) continue;
            var password = proxy.UserInfo[(proxy.UserInfo.IndexOf(':', StringComparison.Ordinal) + 1)..];
            if (password.Length == 0 || password == proxy.UserInfo) continue;
            log.Mask.Add(password);
            log.Mask.Add(Uri.UnescapeDataString(password));
        }
        return arguments;
    }
}
