namespace CiSteps.TestReports.Lines;

/// <summary>Reads a report that comes line by line, while it comes.</summary>
internal interface ILineReader
{
    /// <summary>The test that has begun and not ended, where the format tells.</summary>
    string? Running { get; }

    /// <summary>The test that ended last; null when none has.</summary>
    string? Ended { get; }

    /// <summary>One line, without its end.</summary>
    void Add(string line);

    /// <summary>What was read, once there is no more; null when nothing of this format came.</summary>
    TestReport? Finish();
}
