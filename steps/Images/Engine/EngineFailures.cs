namespace CiSteps.Images;

/// <summary>The container engine understood a request and refused it.</summary>
/// <param name="status">HTTP status of the answer; 0 when the refusal came within a stream.</param>
/// <param name="text">The engine's own text.</param>
/// <param name="inner">What was caught; null where it was found without an exception.</param>
public sealed class EngineRefusalException(int status, string text, Exception? inner = null) : Exception(text, inner)
{
    /// <summary>HTTP status of the engine's answer; 0 when the refusal came within a stream.</summary>
    public int Status { get; } = status;

    /// <summary>Whether what was asked for is not there.</summary>
    public bool IsAbsent => Status == 404;

    /// <summary>Whether something of that name is there already.</summary>
    public bool IsConflict => Status == 409;

    /// <summary>Whether it is an error inside the engine, by its status, and none of those that it answers in this way for what
    /// it was asked.</summary>
    internal bool IsEnginesError => Status >= 500 && !IsAddressOverlap && !IsNotRunning
        && !Message.Contains("invalid reference format", StringComparison.Ordinal)
        && !Message.Contains("is already in progress", StringComparison.Ordinal);

    /// <summary>Whether a network's addresses are taken by another one.</summary>
    public bool IsAddressOverlap => Message.Contains("overlaps with other one", StringComparison.OrdinalIgnoreCase)
        || Message.Contains("is already used on the host or by another config", StringComparison.Ordinal);

    /// <summary>Whether a container has ended already, in docker's words or podman's.</summary>
    internal bool IsNotRunning => Message.Contains("is not running", StringComparison.Ordinal)
        || Message.Contains("can only kill running containers", StringComparison.Ordinal);
}

/// <summary>Why an image could not be pulled.</summary>
public enum ImagePullFailure
{
    /// <summary>Something else; see the engine's text.</summary>
    Other,

    /// <summary>The registry knows no such repository, tag or digest.</summary>
    NotFound,

    /// <summary>The registry wants credentials, or other ones.</summary>
    Unauthorized,

    /// <summary>The registry does not answer, or not in time, or is overloaded.</summary>
    Unreachable,

    /// <summary>The text is not an image reference.</summary>
    InvalidName,

    /// <summary>The registry speaks plain HTTP and the engine insists on HTTPS.</summary>
    PlainHttp,
}

/// <summary>An image could not be pulled.</summary>
/// <param name="kind">The class of failure.</param>
/// <param name="reference">What was to be pulled.</param>
/// <param name="text">The engine's own text.</param>
/// <param name="inner">What was caught; null where it was found without an exception.</param>
public sealed class ImagePullException(ImagePullFailure kind, string reference, string text, Exception? inner = null)
    : Exception($"cannot pull \"{reference}\": {text}", inner)
{
    /// <summary>The class of failure.</summary>
    public ImagePullFailure Kind { get; } = kind;

    /// <summary>What was to be pulled.</summary>
    public string Reference { get; } = reference;

    /// <summary>The engine's own text.</summary>
    public string EngineText { get; } = text;

    /// <summary>The failure as a step ends with it: bad input, or something outside that does not answer.</summary>
    /// <param name="advice">What is to be said where credentials are wanted
    /// (<see cref="RegistryCredentials.AdviceAsync"/>).</param>
    public Exception ToStepFailure(string advice = "") => Kind switch
    {
        ImagePullFailure.Unreachable => new Hosting.UnavailableException(
            "registry-unreachable",
            $"the image \"{Reference}\" cannot be pulled because its registry does not answer: {EngineText}",
            this),
        ImagePullFailure.NotFound => new Hosting.UsageException($"the image \"{Reference}\" does not exist: {EngineText}", this),
        ImagePullFailure.Unauthorized => new Hosting.UsageException(
            $"the registry does not give the image \"{Reference}\" (it is missing, or credentials are): {EngineText}; "
                + $"check the name{(advice.Length > 0 ? "; " + advice : "")}", this),
        ImagePullFailure.InvalidName => new Hosting.UsageException(
            $"\"{Reference}\" is not an image reference: {EngineText}", this),
        ImagePullFailure.PlainHttp => new Hosting.UsageException(
            $"the registry of \"{Reference}\" speaks plain HTTP and the container engine insists on HTTPS: {EngineText}; "
                + "name it under \"insecure-registries\" in the engine's daemon.json", this),
        _ => new Hosting.UnavailableException("engine", Message, this),
    };

    /// <summary>Sorts an engine's or registry's text into a class; the engine gives nothing better than text.</summary>
    internal static ImagePullFailure Classify(string text)
    {
        bool Has(params ReadOnlySpan<string> words)
        {
            foreach (var word in words)
                if (text.Contains(word, StringComparison.OrdinalIgnoreCase)) return true;
            return false;
        }
        if (Has("invalid reference format", "invalid repository name", "repository name must be"))
            return ImagePullFailure.InvalidName;
        if (Has("server gave HTTP response to HTTPS client")) return ImagePullFailure.PlainHttp;
        if (Has(
            "manifest unknown",
            "name unknown",
            "manifest for ",
            "no matching manifest",
            "no match for platform in manifest",
            "does not match the specified platform"))
            return ImagePullFailure.NotFound;
        if (Has(
            "unauthorized",
            "authentication required",
            "no basic auth credentials",
            "pull access denied",
            "push access denied",
            "insufficient_scope",
            "authorization failed",
            "access to the resource is denied",
            "forbidden"))
            return ImagePullFailure.Unauthorized;
        if (Has(
            "connection refused",
            "no such host",
            "i/o timeout",
            "dial tcp",
            "TLS handshake timeout",
            "x509",
            "connection reset",
            "EOF",
            "toomanyrequests",
            "Client.Timeout",
            "deadline exceeded",
            "service unavailable",
            "bad gateway",
            "server misbehaving",
            "network is unreachable",
            // A registry that is in trouble, by the words of each store and of podman.
            "500 Internal Server Error", "504 Gateway Time", "use of closed network connection", "broken pipe"))
            return ImagePullFailure.Unreachable;
        return Has("not found") ? ImagePullFailure.NotFound : ImagePullFailure.Other;
    }
}
