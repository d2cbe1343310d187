namespace CiSteps.Hosting.Display;

/// <summary>A plain table: each column as wide as its widest cell.</summary>
public static class Table
{
    /// <summary>The table's lines, without white space at their ends.</summary>
    /// <param name="rows">Rows with the same number of cells, the heading first if there is one. Line ends in a cell become
    /// spaces.</param>
    /// <param name="gap">Spaces between columns.</param>
    /// <param name="numbers">Columns that stand to the right, counted from 0.</param>
    public static IReadOnlyList<string> Lines(
        IEnumerable<IReadOnlyList<string>> rows, int gap = 2, params IReadOnlyCollection<int> numbers)
    {
        var cells = rows.Select(row => row.Select(cell => cell.ReplaceLineEndings(" ")).ToArray()).ToList();
        if (cells.Count == 0) return [];
        var widths = Enumerable.Range(0, cells[0].Length).Select(column => cells.Max(row => row[column].Length)).ToArray();
        var between = new string(' ', gap);
        return [.. cells.Select(row => string.Join(between, row.Select(Padded)).TrimEnd())];

        string Padded(string cell, int column) =>
            numbers.Contains(column) ? cell.PadLeft(widths[column]) : cell.PadRight(widths[column]);
    }
}
