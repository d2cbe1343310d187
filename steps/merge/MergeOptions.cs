using CiSteps.Hosting;
using CiSteps.Repositories;

namespace CiSteps.Merge;

/// <summary>Options of merge that hang together.</summary>
internal static class MergeOptions
{
    /// <summary>What the commit is signed with; null for no signature.</summary>
    /// <exception cref="UsageException">One of the two options is given without the other, or there is nothing to
    /// sign.</exception>
    public static CommitSigning? Signing(StepContext context)
    {
        var (format, key) = (context.Options.Find(MergeCommand.Sign), context.Options.Find(MergeCommand.SigningKey));
        if (format is null && key is null) return null;
        if (format is null || key is null)
            throw new UsageException($"--{MergeCommand.Sign.Name} and --{MergeCommand.SigningKey.Name} are given together " +
                $"or not at all");
        return context.Options.Get(MergeCommand.Method) == MergeMethod.FastForward
            ? throw new UsageException($"with --{MergeCommand.Method.Name} ff-only the change lands as it is, so that " +
                $"merge has nothing to sign: leave out --{MergeCommand.Sign.Name}")
            : new CommitSigning(format, key);
    }
}
