using System.Text.RegularExpressions;

namespace CiSteps.Certify;

/// <summary>Which of two builds came first, by their numbers.</summary>
internal static partial class BuildNumbers
{
    /// <summary>
    /// Compares two numbers of one format, such as <c>9</c> and <c>10</c> or <c>1.0.9</c> and <c>1.0.10</c>: below zero when the
    /// first is the earlier one; null when they are of different formats, so that nobody can tell.
    /// </summary>
    public static int? Compare(string first, string second)
    {
        var (left, right) = (Parts().Split(first), Parts().Split(second));
        if (left.Length != right.Length) return null;
        // The parts between the numbers stand at even places.
        for (var at = 0; at < left.Length; at += 2) if (left[at] != right[at]) return null;
        for (var at = 1; at < left.Length; at += 2)
        {
            var (one, other) = (left[at].TrimStart('0'), right[at].TrimStart('0'));
            var order = one.Length != other.Length ? one.Length - other.Length : string.CompareOrdinal(one, other);
            if (order != 0) return order;
        }
        return 0;
    }

    [GeneratedRegex("([0-9]+)", RegexOptions.CultureInvariant)]
    private static partial Regex Parts();
}
