namespace CiSteps.ImageBuild.Tests;

/// <summary>Calls back when a child has said a line that ends so.</summary>
internal sealed class WatchingWriter(string text, Action found) : StringWriter
{
    public override void WriteLine(string? value)
    {
        base.WriteLine(value);
        if (value?.EndsWith(" " + text, StringComparison.Ordinal) is true) found();
    }
}
