using System.Globalization;

namespace CiSteps.Hosting.Display;

/// <summary>Colours of a terminal; its user chooses how they look.</summary>
public enum Ink
{
    /// <summary>As everything else.</summary>
    Plain,

    /// <summary>A heading.</summary>
    Bold,

    /// <summary>What is beside the point.</summary>
    Grey,

    /// <summary>A failure.</summary>
    Red,

    /// <summary>A success.</summary>
    Green,

    /// <summary>A warning.</summary>
    Yellow,

    /// <summary>What is done now.</summary>
    Cyan,
}

/// <summary>
/// Lines for a person, each with the seconds since the beginning, and a last line that changes. Not safe for use by several
/// threads at once.
/// </summary>
/// <param name="output">Where lines go.</param>
/// <param name="coloured">Whether that is a terminal with colours; without one nothing but plain lines is written.</param>
/// <param name="time">Clock that all waiting and all limits go by.</param>
public sealed class Terminal(TextWriter output, bool coloured, TimeProvider time)
{
    private readonly long started = time.GetTimestamp();
    private bool lineIsLive;

    /// <summary>Whether there can be a line that changes.</summary>
    public bool HasLiveLine => coloured;

    private string Now =>
        time.GetElapsedTime(started).TotalSeconds.ToString("0.0", CultureInfo.InvariantCulture).PadLeft(6) + "s";

    /// <summary>Writes a text, which may have several lines.</summary>
    /// <param name="before">In front of each line, without colour.</param>
    /// <param name="text">What stands in the line, without an end of line.</param>
    /// <param name="ink">Colour, where the terminal shows any.</param>
    public void Write(string before, string text, Ink ink)
    {
        Wipe();
        foreach (var line in text.ReplaceLineEndings("\n").Split('\n'))
            output.WriteLine(
                coloured ? $"{Code(Ink.Grey)}{Now}{Reset} {before}{Code(ink)}{line}{Reset}" : $"{Now} {before}{line}");
        output.Flush();
    }

    /// <summary>Shows the line that changes in place of what it was. What does not fit the terminal is not shown.</summary>
    public void Show(string text)
    {
        Wipe();
        if (!coloured || text.Length == 0) return;
        // Without wrapping: only the row that the cursor is in can be wiped.
        output.Write($"\e[?7l{Code(Ink.Grey)}{Now} {OneLine(text)}{Reset}\e[?7h");
        output.Flush();
        lineIsLive = true;
    }

    /// <summary>Takes the line that changes away.</summary>
    public void Wipe()
    {
        if (!lineIsLive) return;
        output.Write("\r\e[K");
        output.Flush();
        lineIsLive = false;
    }

    private const string Reset = "\e[0m";

    private static string OneLine(string text) => string.Concat(text.Select(letter => char.IsControl(letter) ? ' ' : letter));

    private static string Code(Ink ink) => ink switch
    {
        Ink.Bold => "\e[1m",
        Ink.Grey => "\e[90m",
        Ink.Red => "\e[31m",
        Ink.Green => "\e[32m",
        Ink.Yellow => "\e[33m",
        Ink.Cyan => "\e[36m",
        _ => "",
    };
}
