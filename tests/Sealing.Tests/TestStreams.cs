namespace RenderTrust.Sealing.Tests;

internal abstract class ForwardStream : Stream
{
    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => false;

    public override long Length => throw new NotSupportedException();

    public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

    public override void Flush()
    {
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();
}

/// <summary>Gives one byte a read, like the slowest of sockets.</summary>
internal sealed class DripStream(byte[] content) : ForwardStream
{
    private int _position;

    public override bool CanRead => true;

    public override int Read(byte[] buffer, int offset, int count)
    {
        if (_position == content.Length || count == 0)
        {
            return 0;
        }

        buffer[offset] = content[_position++];
        return 1;
    }
}

internal sealed class WriteOnlyStream(Stream inner) : ForwardStream
{
    public override bool CanWrite => true;

    public override void Write(byte[] buffer, int offset, int count) => inner.Write(buffer, offset, count);
}

/// <summary>A stream of a length whose bytes follow from their position, so that nothing needs to be kept.</summary>
internal sealed class PatternStream(long length) : ForwardStream
{
    private long _position;

    public override bool CanRead => true;

    public override int Read(byte[] buffer, int offset, int count)
    {
        var take = (int)Math.Min(count, length - _position);
        Fill(buffer.AsSpan(offset, take), _position);
        _position += take;
        return take;
    }

    public static void Fill(Span<byte> target, long position)
    {
        for (var i = 0; i < target.Length; i++)
        {
            target[i] = (byte)((position + i) * 31 >> 3);
        }
    }
}

/// <summary>Compares what is written to it with <see cref="PatternStream"/>.</summary>
internal sealed class PatternCheck : ForwardStream
{
    private byte[] _expected = [];

    public long Written { get; private set; }

    public override bool CanWrite => true;

    public override void Write(byte[] buffer, int offset, int count)
    {
        if (_expected.Length < count)
        {
            _expected = new byte[count];
        }

        PatternStream.Fill(_expected.AsSpan(0, count), Written);
        Assert.True(buffer.AsSpan(offset, count).SequenceEqual(_expected.AsSpan(0, count)));
        Written += count;
    }
}
