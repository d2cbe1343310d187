namespace Shop;

internal static class Once
{
    // Classes run side by side.
    private static readonly Lock Gate = new();

    /// <summary>Notes that a test ran, and fails when it is the first time.</summary>
    public static void Fails(string name)
    {
        if (Ran(name) == 1) throw new InvalidOperationException($"the first time of {name}");
    }

    /// <summary>Notes that a test ran; gives back how often that was by now.</summary>
    public static int Ran(string name)
    {
        var log = Environment.GetEnvironmentVariable("RAN")!;
        lock (Gate)
        {
            File.AppendAllLines(log, [name]);
            return File.ReadAllLines(log).Count(line => line == name);
        }
    }
}
