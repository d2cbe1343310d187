namespace CiSteps.Hosting;

/// <summary>A plan's no: nothing of it may be done.</summary>
/// <param name="Reason">Stable kebab-case word, of which a build server makes the problem's identity.</param>
/// <param name="Text">One sentence: what, which one in quotes, why, and what to do next.</param>
/// <param name="Fault">Whose fault it was, and so who is told.</param>
public readonly record struct Refusal(string Reason, string Text, Fault Fault);
