namespace CiSteps.Hosting.Options;

/// <summary>
/// One thing that can be told to a step. Its places, strongest first: option <c>--name</c>, environment <c>CISTEPS_NAME</c>, the
/// build server's properties, the default.
/// </summary>
public abstract class StepOption
{
    private protected StepOption(string name, string description, string? fallback, IReadOnlyList<string> properties)
    {
        (Name, Description, Fallback, Properties) = (name, description, fallback, properties);
        Variable = "CISTEPS_" + name.ToUpperInvariant().Replace('-', '_');
    }

    /// <summary>Kebab-case name; the option is <c>--name</c>.</summary>
    public string Name { get; }

    /// <summary>What it means and in which unit.</summary>
    public string Description { get; }

    /// <summary>The default as text; null when there is none.</summary>
    public string? Fallback { get; }

    /// <summary>Build server properties that are looked up, first match wins.</summary>
    public IReadOnlyList<string> Properties { get; }

    /// <summary>The environment variable's name.</summary>
    public string Variable { get; }

    /// <summary>A switch needs no value on the command line.</summary>
    public virtual bool IsSwitch => false;

    internal abstract void Check(string text);

    /// <summary>An option that is text as it is.</summary>
    public static StepOption<string> Text(
        string name, string description, string? fallback = null, params IReadOnlyList<string> properties) =>
        new(name, description, text => text, fallback, properties);

    /// <summary>A switch: present, or <c>true</c>/<c>false</c>.</summary>
    public static StepOption<bool> Switch(string name, string description, params IReadOnlyList<string> properties) =>
        new SwitchOption(name, description, properties);

    /// <summary>A length of time such as <c>90s</c>, <c>5m</c>, <c>1h30m</c>.</summary>
    public static StepOption<TimeSpan> Duration(
        string name, string description, string? fallback = null, params IReadOnlyList<string> properties) =>
        new(name, description, Durations.Parse, fallback, properties);

    private sealed class SwitchOption(string name, string description, IReadOnlyList<string> properties)
        : StepOption<bool>(name, description, ParseSwitch, "false", properties)
    {
        public override bool IsSwitch => true;

        private static bool ParseSwitch(string text) => text switch
        {
            "true" or "1" or "yes" => true,
            "false" or "0" or "no" or "" => false,
            _ => throw new FormatException("give true or false"),
        };
    }
}

/// <summary>An option with its type.</summary>
/// <typeparam name="T">What the text is read as.</typeparam>
public class StepOption<T> : StepOption
{
    private readonly Func<string, T> parse;

    /// <summary>An option with a reader of its own; the reader throws <see cref="FormatException"/> with what to do.</summary>
    public StepOption(
        string name, string description, Func<string, T> parse, string? fallback = null, IReadOnlyList<string>? properties = null)
        : base(name, description, fallback, properties ?? []) => this.parse = parse;

    internal T Read(string text) => parse(text);

    internal override void Check(string text) => _ = parse(text);
}

/// <summary>Lengths of time as people write them.</summary>
public static class Durations
{
    // Timers count milliseconds in 32 bits: longer ones would fail only when they are started.
    private static readonly TimeSpan Longest = TimeSpan.FromDays(49);

    /// <summary>Reads <c>500ms</c>, <c>90s</c>, <c>5m</c>, <c>1h30m</c>, <c>2d</c>.</summary>
    /// <exception cref="FormatException">Anything else, zero included.</exception>
    public static TimeSpan Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var total = TimeSpan.Zero;
        var at = 0;
        while (at < text.Length)
        {
            var start = at;
            while (at < text.Length && char.IsAsciiDigit(text[at])) at++;
            var unitStart = at;
            while (at < text.Length && char.IsAsciiLetter(text[at])) at++;
            if (unitStart == start || !int.TryParse(text.AsSpan(start, unitStart - start), out var count)) throw Wrong(text);
            total += text[unitStart..at] switch
            {
                "ms" => TimeSpan.FromMilliseconds(count),
                "s" => TimeSpan.FromSeconds(count),
                "m" => TimeSpan.FromMinutes(count),
                "h" => TimeSpan.FromHours(Math.Min(count, (Longest.Days + 1) * 24)),
                "d" => TimeSpan.FromDays(Math.Min(count, Longest.Days + 1)),
                _ => throw Wrong(text),
            };
            if (total > Longest) throw Wrong(text);
        }
        return total > TimeSpan.Zero ? total : throw Wrong(text);
    }

    /// <summary>Writes a length of time for people: <c>1h 30m</c>, <c>2.5s</c>.</summary>
    public static string Show(TimeSpan time) => time.TotalSeconds switch
    {
        < 59.95 => $"{time.TotalSeconds:0.#}s",
        < 60 => "1m",
        < 3600 => time.Seconds == 0 ? $"{time.Minutes}m" : $"{time.Minutes}m {time.Seconds}s",
        _ => time.Minutes == 0 ? $"{(int)time.TotalHours}h" : $"{(int)time.TotalHours}h {time.Minutes}m",
    };

    /// <summary>As <see cref="Show"/>, in whole seconds and never below zero: for what is counted up before one's eyes.</summary>
    public static string ShowWhole(TimeSpan time) => Show(TimeSpan.FromSeconds(Math.Max(0, Math.Floor(time.TotalSeconds))));

    private static FormatException Wrong(string text) =>
        new($"\"{text}\" is not a length of time; write it like 90s, 5m or 1h30m");
}
