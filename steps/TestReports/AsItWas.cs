namespace CiSteps.TestReports;

/// <summary>
/// A file as long as it was when it was opened, whatever is written to its end since. It is not closed with this.
/// </summary>
internal sealed class AsItWas(FileStream file) : Stream
{
    private readonly long length = file.Length;

    public override bool CanRead => true;

    public override bool CanSeek => true;

    public override bool CanWrite => false;

    public override long Length => length;

    public override long Position { get => file.Position; set => file.Position = value; }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override int Read(Span<byte> buffer) =>
        file.Read(buffer[..(int)Math.Clamp(length - file.Position, 0, buffer.Length)]);

    public override long Seek(long offset, SeekOrigin origin) =>
        origin == SeekOrigin.End ? file.Seek(length + offset, SeekOrigin.Begin) : file.Seek(offset, origin);

    public override void Flush()
    {
    }

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}
