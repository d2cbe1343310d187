using System.Collections;

namespace CiSteps.TestReports;

/// <summary>
/// The tests of a report, in its order. As long as they are few they stay in memory; many go to a temporary file, so that memory
/// does not
/// grow with a report. What counts (how each ended) is known without reading them again.
/// </summary>
/// <param name="root">The work tree: its path is cut off names, which must not differ from machine to machine. Empty: names
/// stay.</param>
internal sealed class CaseList(string root = "") : IReadOnlyList<TestCase>
{
    // In characters, for all texts of a report together.
    private const long MostInMemory = 8 * 1024 * 1024;

    private readonly List<Ending> endings = [];
    private List<TestCase>? inMemory = [];
    private List<long> inFile = [];
    private CaseFile? file;
    private long size;

    [Flags]
    private enum Ending : byte
    {
        Passed = 1,
        Skipped = 2,
        Failure = 4,
        Fails = 8,
        Flaky = 16,
    }

    public int Count => endings.Count;

    public TestCase this[int at]
    {
        get => inMemory is not null ? inMemory[at] : file!.Read(inFile[at]);
        set
        {
            var test = Relative(value);
            endings[at] = EndingOf(test);
            if (inMemory is not null) inMemory[at] = test;
            else inFile[at] = file!.Append(test);
        }
    }

    public TestTotals Totals => new(
        endings.Count(ending => ending.HasFlag(Ending.Passed)),
        endings.Count(ending => ending.HasFlag(Ending.Fails)),
        endings.Count(ending => ending.HasFlag(Ending.Flaky)),
        endings.Count(ending => ending.HasFlag(Ending.Failure) && !ending.HasFlag(Ending.Fails)),
        endings.Count(ending => ending.HasFlag(Ending.Skipped)));

    /// <summary>Tests that failed, whether that counts or not, and flaky ones.</summary>
    public IEnumerable<TestCase> Notable => At(Ending.Failure | Ending.Flaky).Select(at => this[at]);

    public void Add(TestCase test)
    {
        test = Relative(test);
        endings.Add(EndingOf(test));
        if (inMemory is null)
        {
            inFile.Add(file!.Append(test));
            return;
        }
        inMemory.Add(test);
        size += CaseFile.SizeOf(test);
        if (size <= MostInMemory) return;
        file = CaseFile.Create();
        foreach (var one in inMemory) inFile.Add(file.Append(one));
        inMemory = null;
    }

    public void AddRange(IEnumerable<TestCase> tests)
    {
        foreach (var test in tests) Add(test);
    }

    public bool AnyFailureFrom(int first)
    {
        for (var at = first; at < endings.Count; at++)
            if (endings[at].HasFlag(Ending.Failure)) return true;
        return false;
    }

    /// <summary>The same tests with what failed replaced.</summary>
    public CaseList WithFailures(Func<TestCase, TestCase> replace)
    {
        // A file is only ever appended to: both lists may read from it.
        var changed = new CaseList(root)
        {
            inMemory = inMemory is null ? null : [.. inMemory],
            inFile = [.. inFile],
            file = file,
            size = size
        };
        changed.endings.AddRange(endings);
        foreach (var at in At(Ending.Failure)) changed[at] = replace(this[at]);
        return changed;
    }

    public IEnumerator<TestCase> GetEnumerator()
    {
        for (var at = 0; at < Count; at++) yield return this[at];
    }

    IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

    private IEnumerable<int> At(Ending any) => Enumerable.Range(0, endings.Count).Where(at => (endings[at] & any) != 0);

    private static Ending EndingOf(TestCase test) =>
        (test.Outcome switch
        {
            TestOutcome.Passed => Ending.Passed,
            TestOutcome.Skipped => Ending.Skipped,
            _ => Ending.Failure
        }) |
        (test.Fails ? Ending.Fails : 0) | (test.IsFlaky ? Ending.Flaky : 0);

    private TestCase Relative(TestCase test)
    {
        if (root.Length == 0 || !(Has(test.Name) || Has(test.ClassName) || Has(test.File) || test.Suites.Any(Has))) return test;
        return test with
        {
            Name = Cut(test.Name)!,
            ClassName = Cut(test.ClassName),
            File = Cut(test.File),
            Suites = [.. test.Suites.Select(suite => Cut(suite)!)],
        };

        bool Has(string? text) => text is not null && text.Contains(root, StringComparison.Ordinal);
        string? Cut(string? text) =>
            text?.Replace("file://" + root + "/", "", StringComparison.Ordinal).Replace(root + "/", "", StringComparison.Ordinal);
    }
}
