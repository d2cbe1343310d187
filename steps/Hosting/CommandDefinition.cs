namespace CiSteps.Hosting;

/// <summary>A command as ci-steps.yaml gives it (<c>run:</c>, <c>image:</c>, <c>folder:</c>, <c>env:</c>): on the agent, or in a
/// container.</summary>
/// <param name="Run">Program and arguments; a single string in the file means <c>sh -c</c>.</param>
/// <param name="Image">Container image to run it in; null for the agent itself.</param>
/// <param name="Folder">Working directory relative to the repository root.</param>
/// <param name="Environment">Variables to set.</param>
public sealed record CommandDefinition(
    IReadOnlyList<string> Run, string? Image, string Folder, IReadOnlyDictionary<string, string> Environment);
