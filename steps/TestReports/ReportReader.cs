using System.Formats.Tar;
using System.Text;
using CiSteps.TestReports.Json;
using CiSteps.TestReports.Xml;

namespace CiSteps.TestReports;

/// <summary>Reads report files of any size; what is wrong with one is a value in the report, not an exception.</summary>
public static class ReportReader
{
    /// <summary>Reads a file.</summary>
    /// <param name="path">Path of the report on disk.</param>
    /// <param name="format">What it should be.</param>
    /// <param name="source">Its name in messages; the path unless given.</param>
    /// <param name="root">The work tree, whose path is cut off names; empty: names stay.</param>
    public static TestReport ReadFile(
        string path, ReportFormat format = ReportFormat.Auto, string? source = null, string root = "")
    {
        try
        {
            if (IsEmpty(path)) return NothingIn(path, source ?? path, format);
            using var file = new FileStream(
                path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 65536, FileOptions.SequentialScan);
            // Somebody who writes on and on must not keep the step for ever.
            using var stream = new AsItWas(file);
            if (stream.Length > Largest)
                return TestReport.Broken(source ?? path, format, ReportFaultKind.Unreadable, $"\"{source ?? path}\" has " +
                    $"{stream.Length >> 20} MiB, more than the {Largest >> 20} MiB that are read of one report; split it");
            var report = Read(stream, format, source ?? path, root);
            return file.Length == stream.Length ? report : TestReport.Broken(source ?? path, format, ReportFaultKind.Truncated,
                $"\"{source ?? path}\" is still being written: it had {stream.Length} bytes when reading began and has " +
                $"{file.Length} now; the command ended before what writes it");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return TestReport.Broken(source ?? path, format, ReportFaultKind.Unreadable,
                $"\"{source ?? path}\" cannot be read: {error.Message}");
        }
    }

    /// <summary>Reads a stream that can seek; it is left open.</summary>
    public static TestReport Read(Stream stream, ReportFormat format, string source, string root = "")
    {
        ArgumentNullException.ThrowIfNull(stream);
        var start = Peek(stream);
        if (start == '{' && format is not (ReportFormat.Tap or ReportFormat.GoJson)
            && !BeginsAsGo(stream)) return ReportJson.Read(stream, format, source, root);
        if (start is null)
            return Empty(source, format);
        var isXml = format != ReportFormat.Auto && format is not (ReportFormat.Tap or ReportFormat.GoJson)
            && !ReportJson.IsFormat(format);
        if (start == '<')
        {
            var report = ReportXml.Read(stream, isXml ? format : ReportFormat.Auto, source, root);
            return isXml || format == ReportFormat.Auto || report.Fault?.Kind == ReportFaultKind.NotAReport ? report
                : TestReport.Broken(source, format,
                    ReportFaultKind.NotAReport, $"\"{source}\" is a {report.Format.Word()} report, the configuration says " +
                        $"{format.Word()}; correct the format or use auto");
        }
        using var text = new StreamReader(stream, Encoding.UTF8, detectEncodingFromByteOrderMarks: true, leaveOpen: true);
        return ReadLines(text, format, source, root);
    }

    /// <summary>Reads a text to its end: TAP, <c>go test -json</c>, or a log with a report in it.</summary>
    public static TestReport ReadLines(TextReader text, ReportFormat format, string source, string root = "")
    {
        ArgumentNullException.ThrowIfNull(text);
        var output = new OutputReport(format, source, root);
        while (text.ReadLine() is { } line) output.Add(line);
        return output.Finish()
            ?? TestReport.Broken(source, format, ReportFaultKind.NotAReport, $"\"{source}\" holds no test report" +
                (format == ReportFormat.Auto ? $" of a known format; {ReportFormats.Known}" : $" in the format {format.Word()}"));
    }

    /// <summary>Whether a file begins as a test report does, without reading more than its first lines.</summary>
    public static bool LooksLikeReport(string path)
    {
        try
        {
            if (IsEmpty(path)) return true;
            using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            var start = Peek(stream);
            if (start is null) return true;
            if (start == '<') return BeginsAsXmlReport(stream);
            if (start == '{' && !BeginsAsGo(stream)) return ReportJson.FormatOf(stream) != ReportFormat.Auto;
            using var text = new StreamReader(stream);
            var output = new OutputReport(ReportFormat.Auto, path);
            for (var count = 0; count < 20 && text.ReadLine() is { } line; count++) output.Add(line);
            return output.Finish() is not null;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private const long Largest = 4L << 30;

    // A named pipe or a device has no length; opening one would block for ever, reading one would never end. Of a link what it
    // leads to counts, and not the link's own length.
    private static bool IsEmpty(string path) => new FileInfo(Target(path)).Length == 0;

    private static string Target(string path) => File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName ?? path;

    private static TestReport NothingIn(string path, string source, ReportFormat format) =>
        SpecialFile(Target(path)) is { } special
            ? TestReport.Broken(
                source,
                format,
                ReportFaultKind.Unreadable,
                $"\"{source}\" is {special}, not a file; have the report written into a regular file")
            : Empty(source, format);

    // The header that a tar archive would have for a file is the one place where .NET says what kind it is.
    private static string? SpecialFile(string path)
    {
        if (OperatingSystem.IsWindows()) return null;
        const int typeAt = 156;
        using var archive = new MemoryStream();
        try
        {
            using (var writer = new TarWriter(archive, TarEntryFormat.Ustar, leaveOpen: true)) writer.WriteEntry(path, "report");
        }
        catch (IOException)
        {
            return "a socket";
        }
        return (TarEntryType)archive.GetBuffer()[typeAt] switch
        {
            TarEntryType.Fifo => "a named pipe",
            TarEntryType.CharacterDevice or TarEntryType.BlockDevice => "a device",
            _ => null,
        };
    }

    private static TestReport Empty(string source, ReportFormat format) =>
        TestReport.Broken(source, format, ReportFaultKind.Truncated,
            $"\"{source}\" is empty; its writer probably ended before it was done");

    private static bool BeginsAsXmlReport(Stream stream)
    {
        try
        {
            using var clean = CleanReader.Open(stream);
            using var xml = System.Xml.XmlReader.Create(
                clean,
                new System.Xml.XmlReaderSettings
                {
                    DtdProcessing = System.Xml.DtdProcessing.Ignore,
                    XmlResolver = null,
                    CheckCharacters = false
                });
            xml.MoveToContent();
            return ReportXml.FormatOf(xml.LocalName) != ReportFormat.Auto;
        }
        catch (System.Xml.XmlException)
        {
            return false;
        }
    }

    // A line of go test -json begins like any other JSON.
    private static bool BeginsAsGo(Stream stream)
    {
        using var text = new StreamReader(stream, Encoding.UTF8, detectEncodingFromByteOrderMarks: true, bufferSize: 1024,
            leaveOpen: true);
        var head = new char[512];
        var length = text.ReadBlock(head, 0, head.Length);
        stream.Position = 0;
        return OutputReport.IsGo(new string(head, 0, length).TrimStart());
    }

    // The first character that is not white space; null when there is none in the first block.
    private static char? Peek(Stream stream)
    {
        var head = new byte[1024];
        var length = stream.ReadAtLeast(head, head.Length, throwOnEndOfStream: false);
        stream.Position = 0;
        using var text = new StreamReader(new MemoryStream(head, 0, length), CleanReader.Unmarked(head) ?? Encoding.UTF8,
            detectEncodingFromByteOrderMarks: true);
        foreach (var unit in text.ReadToEnd())
            if (!char.IsWhiteSpace(unit) && unit != '\ufeff') return unit;
        return null;
    }
}
