using System.Text.RegularExpressions;
using CiSteps.Hosting;
using CiSteps.Pipeline;

namespace CiSteps.UnitTest;

/// <summary>Changes a command by arguments, whether it is a list or a shell's script.</summary>
internal static class CommandLine
{
    /// <summary>
    /// The one command that counts, as a line: a list's words, or a script's last command behind <c>&amp;&amp;</c>. Empty for a
    /// script in which it cannot be told.
    /// </summary>
    public static string Text(CommandDefinition command)
    {
        if (Script(command) is not { } script) return string.Join(' ', command.Run);
        var last = script.Split("&&")[^1].Trim();
        return last.IndexOfAny([';', '|', '&', '>', '<', '`', '\n']) >= 0 || last.Contains("$(", StringComparison.Ordinal) ? ""
            : last;
    }

    /// <summary>Whether it is one program: a list, or a script that is one simple command.</summary>
    public static bool IsOne(CommandDefinition command) =>
        Script(command) is not { } script || (Text(command).Length > 0 && !script.Contains("&&", StringComparison.Ordinal));

    /// <summary>With arguments at the end, before a <c>--</c> of the command's own; behind one where npm runs it.</summary>
    public static CommandDefinition Append(CommandDefinition command, IReadOnlyList<string> arguments)
    {
        if (Script(command) is { } script) return WithScript(command, script.TrimEnd() + (IsNpm(script) ? " -- " : " ")
            + Quote(arguments));
        var end = command.Run.ToList().IndexOf("--");
        if (command.Run[0] is "npm") return command with
        {
            Run = end < 0 ? [.. command.Run, "--", .. arguments]
            : [.. command.Run, .. arguments]
        };
        return end < 0 ? command with { Run = [.. command.Run, .. arguments] }
            : command with { Run = [.. command.Run.Take(end), .. arguments, .. command.Run.Skip(end)] };
    }

    /// <summary>With arguments before an option; at the end where it is not there.</summary>
    public static CommandDefinition Before(CommandDefinition command, string option, IReadOnlyList<string> arguments)
    {
        var at = command.Run.ToList().IndexOf(option);
        return at < 0 ? Append(command, arguments)
            : command with { Run = [.. command.Run.Take(at), .. arguments, .. command.Run.Skip(at)] };
    }

    /// <summary>With arguments behind an option; at the end where it is not there.</summary>
    public static CommandDefinition After(CommandDefinition command, string option, IReadOnlyList<string> arguments)
    {
        if (Script(command) is { } script)
        {
            var match = Regex.Match(script, $@"(?<=\s){Regex.Escape(option)}(?=\s|$)");
            return match.Success ? WithScript(command, script.Insert(match.Index + match.Length, " " + Quote(arguments)))
                : Append(command, arguments);
        }
        var at = command.Run.ToList().IndexOf(option);
        return at < 0 ? Append(command, arguments)
            : command with { Run = [.. command.Run.Take(at + 1), .. arguments, .. command.Run.Skip(at + 1)] };
    }

    /// <summary>
    /// Without options and their values, behind <c>=</c> or a number behind a space. A script stays as it is: its words cannot be
    /// told apart for certain.
    /// </summary>
    public static CommandDefinition Without(CommandDefinition command, IReadOnlyList<string> options)
    {
        if (Script(command) is not null) return command;
        var kept = new List<string>();
        for (var at = 0; at < command.Run.Count; at++)
        {
            var word = command.Run[at];
            if (at == 0 || !options.Any(option =>
                word == option || word.StartsWith(option + "=", StringComparison.Ordinal))) kept.Add(word);
            else if (options.Contains(word) && at + 1 < command.Run.Count && command.Run[at + 1].All(char.IsAsciiDigit)) at++;
        }
        return command with { Run = kept };
    }

    private static string? Script(CommandDefinition command) =>
        command.Run is [var shell, "-c", var script] &&
        (shell is "sh" or "bash" || shell.EndsWith("/sh", StringComparison.Ordinal)
            || shell.EndsWith("/bash", StringComparison.Ordinal)) ? script : null;

    private static CommandDefinition WithScript(CommandDefinition command, string script) =>
        command with { Run = [command.Run[0], command.Run[1], script] };

    private static bool IsNpm(string script) => Regex.IsMatch(script, @"(^|[;&|]\s*)npm (test|run \S+)\s*$");

    private static string Quote(IReadOnlyList<string> arguments) =>
        string.Join(' ', arguments.Select(argument => "'" + argument.Replace("'", "'\\''", StringComparison.Ordinal) + "'"));
}
