using System.Text;

namespace CiSteps.Images;

/// <summary>Bytes in pieces of any size to whole lines: a multi-byte character may be cut by a piece's end.</summary>
internal sealed class LineSplitter(Func<string, ValueTask> emit)
{
    private const int Longest = 65536;
    private readonly Decoder decoder = Encoding.UTF8.GetDecoder();
    private readonly StringBuilder line = new();
    private char[] characters = new char[65536 + 4];

    public async ValueTask AddAsync(ReadOnlyMemory<byte> bytes)
    {
        if (characters.Length < bytes.Length + 4) characters = new char[bytes.Length + 4];
        var count = decoder.GetChars(bytes.Span, characters, flush: false);
        for (var at = 0; at < count; at++)
        {
            var character = characters[at];
            if (character == '\n' || line.Length >= Longest)
            {
                await EmitAsync().ConfigureAwait(false);
                if (character == '\n') continue;
            }
            line.Append(character);
        }
    }

    public async ValueTask EndAsync()
    {
        if (line.Length > 0) await EmitAsync().ConfigureAwait(false);
    }

    private async ValueTask EmitAsync()
    {
        if (line.Length > 0 && line[^1] == '\r') line.Length--;
        var text = line.ToString();
        line.Clear();
        await emit(text).ConfigureAwait(false);
    }
}
