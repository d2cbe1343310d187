namespace CiSteps.Sandbox.Api.Printing;

/// <summary>Durations as kubectl shows them: the two coarsest units, fewer the older.</summary>
internal static class Age
{
    public static string Since(DateTimeOffset? time, DateTimeOffset now) => time is { } t ? Human(now - t) : "<unknown>";

    public static string Human(TimeSpan span)
    {
        var seconds = (long)span.TotalSeconds;
        if (seconds < -1)
            return "<invalid>";
        if (seconds < 0)
            return "0s";
        if (seconds < 120)
            return $"{seconds}s";
        var minutes = seconds / 60;
        if (minutes < 10)
            return seconds % 60 == 0 ? $"{minutes}m" : $"{minutes}m{seconds % 60}s";
        if (minutes < 180)
            return $"{minutes}m";
        var hours = minutes / 60;
        if (hours < 8)
            return minutes % 60 == 0 ? $"{hours}h" : $"{hours}h{minutes % 60}m";
        if (hours < 48)
            return $"{hours}h";
        var days = hours / 24;
        if (hours < 192)
            return hours % 24 == 0 ? $"{days}d" : $"{days}d{hours % 24}h";
        if (days < 730)
            return $"{days}d";
        var years = days / 365;
        return days < 2920 && days % 365 != 0 ? $"{years}y{days % 365}d" : $"{years}y";
    }
}
