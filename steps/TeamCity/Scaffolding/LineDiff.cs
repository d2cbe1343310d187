namespace CiSteps.TeamCity.Scaffolding;

/// <summary>What would change in a text, line by line.</summary>
public static class LineDiff
{
    /// <summary>Lines with <c>-</c>, <c>+</c> or a blank in front; unchanged ones only near a change.</summary>
    public static IEnumerable<string> Of(string before, string after, int around = 2)
    {
        var old = before.TrimEnd('\n').Split('\n');
        var fresh = after.TrimEnd('\n').Split('\n');
        // Longest common subsequence; settings files have some hundred lines.
        var common = new int[old.Length + 1, fresh.Length + 1];
        for (var a = old.Length - 1; a >= 0; a--)
            for (var b = fresh.Length - 1; b >= 0; b--)
                common[a, b] = old[a] == fresh[b] ? common[a + 1, b + 1] + 1 : Math.Max(common[a + 1, b], common[a, b + 1]);
        var lines = new List<(char Sign, string Text)>();
        int i = 0, j = 0;
        while (i < old.Length || j < fresh.Length)
        {
            if (i < old.Length && j < fresh.Length && old[i] == fresh[j])
            {
                lines.Add((' ', old[i++]));
                j++;
            }
            else if (i < old.Length && (j == fresh.Length || common[i + 1, j] >= common[i, j + 1])) lines.Add(('-', old[i++]));
            else lines.Add(('+', fresh[j++]));
        }
        for (var at = 0; at < lines.Count; at++)
            if (lines[at].Sign != ' ' || Near(lines, at, around)) yield return $"{lines[at].Sign}{lines[at].Text}";
    }

    private static bool Near(List<(char Sign, string Text)> lines, int at, int around)
    {
        for (var other = Math.Max(0, at - around); other <= Math.Min(lines.Count - 1, at + around); other++)
            if (lines[other].Sign != ' ') return true;
        return false;
    }
}
