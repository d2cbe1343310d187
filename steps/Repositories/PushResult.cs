namespace CiSteps.Repositories;

/// <summary>How a push ended.</summary>
public enum PushEnd
{
    /// <summary>The server says that the branch is at the pushed commit.</summary>
    Accepted,

    /// <summary>The branch is elsewhere than expected: read again and decide anew.</summary>
    Moved,

    /// <summary>The server protects the branch from direct pushes by this user.</summary>
    Protected,

    /// <summary>The server wants a check to have passed for the commit.</summary>
    RequiredCheck,

    /// <summary>The server takes changes of the branch from its merge queue only.</summary>
    QueueRequired,

    /// <summary>A hook of the server said no.</summary>
    Hook,

    /// <summary>The rights did not suffice.</summary>
    Authentication,

    /// <summary>There was no whole answer: whether it was accepted shows only when the tip is read again.</summary>
    Network,

    /// <summary>The server refused for another reason.</summary>
    Refused,
}

/// <summary>What came of a push.</summary>
/// <param name="End">How it ended.</param>
/// <param name="Text">What the server said; empty when accepted.</param>
public sealed record PushResult(PushEnd End, string Text)
{
    /// <summary>What a server's refusal means.</summary>
    /// <param name="reason">Its short reason for the reference.</param>
    /// <param name="words">What it said to people; may be empty.</param>
    internal static PushResult OfRefusal(string reason, string words)
    {
        var end = Classify(reason);
        // Where a server lets one of its hooks refuse, only the words to people say what it is about.
        if (end is PushEnd.Hook or PushEnd.Protected or PushEnd.Refused && Classify(words) is var said and not PushEnd.Refused
            and not PushEnd.Hook and not PushEnd.Moved) end = said;
        return new PushResult(end, words.Length > 0 ? $"{reason}: {words}" : reason);
    }

    /// <summary>What a server's words mean. GitHub: GH006 (branch protection) and GH013 (rules) with the rule in the lines that
    /// follow; GitLab, Bitbucket and Azure DevOps (TF…) in words of their own.</summary>
    internal static PushEnd Classify(string said)
    {
        bool Says(params string[] words) => words.Any(word => said.Contains(word, StringComparison.OrdinalIgnoreCase));
        if (Says("merge queue", "merge train")) return PushEnd.QueueRequired;
        if (Says("required status check", "status checks are expected", "required check", "required pipeline",
            "pipeline must succeed", "required workflow")) return PushEnd.RequiredCheck;
        if (Says("protected branch", "protected branches", "GH006", "GH013", "repository rule violations", "protected ref",
            "not allowed to push", "not allowed to force push", "only be modified through pull request", "TF402455",
            "must use a pull request", "through a pull request", "permission denied to update branch", "TF402457"))
            return PushEnd.Protected;
        if (Says("non-fast-forward", "fetch first", "stale info", "cannot lock ref", "failed to update ref", "failed to lock",
            "incorrect old value", "but expected", "reference already exists", "has been updated by another"))
            return PushEnd.Moved;
        if (Says("unpacker error", "unpack failed", "internal server error", "no space left", "temporarily unavailable"))
            return PushEnd.Network;
        if (Says("hook declined", "pre-receive", "declined")) return PushEnd.Hook;
        return Says("permission", "denied", "authentication", "unauthorized", "forbidden", "TF401027", "prohibited")
            ? PushEnd.Authentication : PushEnd.Refused;
    }
}
