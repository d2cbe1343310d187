namespace CiSteps.Images;

/// <summary>A command prepared in a container.</summary>
public sealed class ExecSession
{
    private readonly ContainerEngine engine;
    private readonly bool tty;

    internal ExecSession(ContainerEngine engine, string id, bool tty) => (this.engine, Id, this.tty) = (engine, id, tty);

    /// <summary>The engine's id of the command.</summary>
    public string Id { get; }

    /// <summary>Runs it and copies its streams; the result is its exit code.</summary>
    public Task<int> RunAsync(Stream? input, Stream output, Stream error, CancellationToken cancel = default) =>
        engine.RunExecAsync(Id, tty, input, output, error, cancel);

    /// <summary>Changes its terminal's size while it runs.</summary>
    public Task ResizeAsync(int columns, int rows, CancellationToken cancel = default) =>
        engine.ResizeExecAsync(Id, columns, rows, cancel);
}
