using System.Globalization;

namespace CiSteps.Hosting.Display;

/// <summary>Numbers of things, in words for people.</summary>
public static class Count
{
    /// <summary>"1 pod", "3 pods".</summary>
    /// <param name="count">How many.</param>
    /// <param name="one">The word for one of them.</param>
    /// <param name="many">The word for several; with an "s" where it is not given.</param>
    public static string Of(long count, string one, string? many = null) =>
        count.ToString(CultureInfo.InvariantCulture) + " " + (count == 1 ? one : many ?? one + "s");
}
