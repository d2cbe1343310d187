using System.Text;
using CiSteps.Hosting;

namespace CiSteps.TestReports;

/// <summary>Tests in a temporary file that has no name any more: it is gone with the process, however that ends.</summary>
internal sealed class CaseFile
{
    private readonly Lock gate = new();
    private readonly FileStream stream;
    private readonly BinaryWriter writer;
    private readonly BinaryReader reader;
    private long length;

    /// <summary>Keeps tests in a stream.</summary>
    internal CaseFile(FileStream stream) =>
        (this.stream, writer, reader) = (
            stream,
            new BinaryWriter(stream, Encoding.UTF8, leaveOpen: true),
            new BinaryReader(stream, Encoding.UTF8, leaveOpen: true));

    /// <exception cref="UnavailableException">The temporary folder takes no file.</exception>
    public static CaseFile Create() => InTemporaryFolder(() =>
    {
        var path = Path.Combine(Path.GetTempPath(), "cisteps-tests-" + Path.GetRandomFileName());
        var stream = new FileStream(path, new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.ReadWrite,
            BufferSize = 256 * 1024,
            Options = OperatingSystem.IsWindows() ? FileOptions.DeleteOnClose : FileOptions.None,
        });
        if (!OperatingSystem.IsWindows()) File.Delete(path);
        return new CaseFile(stream);
    });

    /// <summary>About how much memory a test takes, in characters.</summary>
    public static long SizeOf(TestCase test) =>
        100 + test.Name.Length + Texts(test).Sum(text => (long)(text?.Length ?? 0)) + test.Suites.Sum(suite => suite.Length);

    /// <summary>Writes a test; gives back where it stands.</summary>
    /// <exception cref="UnavailableException">The temporary folder is full.</exception>
    public long Append(TestCase test) => InTemporaryFolder(() =>
    {
        lock (gate)
        {
            var at = length;
            if (stream.Position != at) stream.Position = at;
            writer.Write((byte)test.Outcome);
            writer.Write(test.IsFlaky);
            writer.Write7BitEncodedInt(test.Attempts);
            writer.Write(test.Duration?.Ticks ?? -1);
            writer.Write(test.Name);
            writer.Write7BitEncodedInt(test.Suites.Count);
            foreach (var suite in test.Suites) writer.Write(suite);
            foreach (var text in Texts(test))
            {
                writer.Write(text is not null);
                if (text is not null) writer.Write(text);
            }
            length = stream.Position;
            return at;
        }
    });

    /// <exception cref="UnavailableException">The temporary folder is full: what was written last is written out
    /// before.</exception>
    public TestCase Read(long at) => InTemporaryFolder(() =>
    {
        lock (gate)
        {
            // Within its buffer the stream moves without asking the system.
            if (stream.Position != at) stream.Position = at;
            var outcome = (TestOutcome)reader.ReadByte();
            var flaky = reader.ReadBoolean();
            var attempts = reader.Read7BitEncodedInt();
            var ticks = reader.ReadInt64();
            var name = reader.ReadString();
            var suites = new string[reader.Read7BitEncodedInt()];
            for (var number = 0; number < suites.Length; number++) suites[number] = reader.ReadString();
            return new TestCase(suites, Text(), name, outcome)
            {
                IsFlaky = flaky,
                Attempts = attempts,
                Duration = ticks < 0 ? null : TimeSpan.FromTicks(ticks),
                Method = Text(),
                File = Text(),
                Message = Text(),
                Details = Text(),
                Output = Text(),
                ErrorOutput = Text(),
                SkipReason = Text(),
                Tolerated = Text(),
            };
        }

        string? Text() => reader.ReadBoolean() ? reader.ReadString() : null;
    });

    // It is not the report's fault, and no fault of this program.
    private static T InTemporaryFolder<T>(Func<T> use)
    {
        try
        {
            return use();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new UnavailableException(
                "temporary-folder",
                $"a large test report does not fit into the temporary folder \"{Path.GetTempPath()}\": {error.Message}; " +
                "free space there, or set TMPDIR to another folder, and run again",
                error);
        }
    }

    // In the order in which they are read.
    private static IEnumerable<string?> Texts(TestCase test) =>
        [
            test.ClassName, test.Method, test.File, test.Message, test.Details, test.Output, test.ErrorOutput, test.SkipReason,
            test.Tolerated
        ];
}
