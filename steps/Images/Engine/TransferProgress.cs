using System.Globalization;

namespace CiSteps.Images;

/// <summary>How far a pull or push has come, told now and then: all layers together, so that a person sees it move.</summary>
internal sealed class TransferProgress(Action<string>? say, TimeProvider time)
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(5);
    private readonly Dictionary<string, (long Current, long Total)> layers = new(StringComparer.Ordinal);
    private long last = time.GetTimestamp();

    /// <summary>Takes in one layer's progress in bytes.</summary>
    public void Add(string layer, long current, long total)
    {
        layers[layer] = (current, Math.Max(current, total));
        if (say is null || time.GetElapsedTime(last) < Pause) return;
        last = time.GetTimestamp();
        say($"{Size(layers.Values.Sum(one => one.Current))} of {Size(layers.Values.Sum(one => one.Total))}");
    }

    private static string Size(long bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e6:0.0} MB");
}
