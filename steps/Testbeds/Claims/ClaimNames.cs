using System.Security.Cryptography;
using System.Text;
using CiSteps.Hosting;

namespace CiSteps.Testbeds.Claims;

/// <summary>Names that derive from the chain alone, so that whoever comes later finds what an earlier step left.</summary>
public static class ClaimNames
{
    private const int LongestPart = 20;

    /// <summary>
    /// The name of a suite's claim: readable in front, unique by a hash over repository, build number, commit and suite.
    /// </summary>
    public static string Of(RunIdentity run, string suite)
    {
        ArgumentNullException.ThrowIfNull(run);
        ArgumentNullException.ThrowIfNull(suite);
        return string.Join('-', new[] { Slug(suite), Slug(run.BuildNumber), Hash(run, suite) }.Where(part => part.Length > 0));
    }

    /// <summary>The value of <see cref="Pool.PoolKinds.ChainHashLabel"/> that all claims of a chain run bear.</summary>
    public static string ChainOf(RunIdentity run)
    {
        ArgumentNullException.ThrowIfNull(run);
        return Hash(run, "");
    }

    private static string Hash(RunIdentity run, string suite)
    {
        // Lengths in front, so that no two different lists of parts read the same.
        var text = string.Concat(new[]
        {
            run.Repository,
            run.BuildNumber,
            run.Commit,
            suite
        }.Select(part => $"{part.Length}:{part}"));
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)))[..12];
    }

    private static string Slug(string text)
    {
        var slug = new StringBuilder();
        foreach (var c in text.ToLowerInvariant())
        {
            if (char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c)) slug.Append(c);
            else if (slug.Length > 0 && slug[^1] != '-') slug.Append('-');
            if (slug.Length == LongestPart) break;
        }
        return slug.ToString().Trim('-');
    }
}
