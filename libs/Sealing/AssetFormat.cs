using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;

namespace RenderTrust.Sealing;

/// <summary>The bytes of a sealed asset; docs/formats/sealing.md is the specification and gives the reasons.</summary>
internal static class AssetFormat
{
    public const byte Version = 1;
    public const byte Suite = 1;
    public const int HeaderBytes = 96;
    public const int SaltBytes = 32;
    public const int ChunkBytes = 65_536;
    public const int TagBytes = 16;
    public const int PrefaceBytes = 16;
    public const int MaxFiles = 65_536;
    public const int MaxPathBytes = 1_024;
    public const int MaxIndexBytes = 16 * 1_048_576;
    public const long MaxContentBytes = 1L << 40;

    private const int AssetIdOffset = 16;
    private const int SaltOffset = 32;
    private const int CommitmentOffset = 64;

    public static ReadOnlySpan<byte> Magic => "RTSEAL1\n"u8;

    /// <summary>The plaintext header: magic, version, suite, six zero bytes, asset id, salt, key commitment.</summary>
    public static byte[] Header(Guid assetId, AssetKeys keys)
    {
        var header = new byte[HeaderBytes];
        Magic.CopyTo(header);
        header[8] = Version;
        header[9] = Suite;
        assetId.TryWriteBytes(header.AsSpan(AssetIdOffset), bigEndian: true, out _);
        keys.Salt.CopyTo(header.AsSpan(SaltOffset));
        keys.Commitment.CopyTo(header.AsSpan(CommitmentOffset));
        return header;
    }

    public static Guid AssetIdOf(ReadOnlySpan<byte> header) => new(header.Slice(AssetIdOffset, 16), bigEndian: true);

    public static ReadOnlySpan<byte> SaltOf(ReadOnlySpan<byte> header) => header.Slice(SaltOffset, SaltBytes);

    public static ReadOnlySpan<byte> CommitmentOf(ReadOnlySpan<byte> header) => header.Slice(CommitmentOffset, 32);

    public static bool HasZeroReserve(ReadOnlySpan<byte> header) => header[10..AssetIdOffset].IndexOfAnyExcept((byte)0) < 0;

    /// <summary>Length of a segment of the container that carries this many plaintext bytes.</summary>
    public static long SealedLength(long plaintextBytes) => plaintextBytes + (TagBytes * ChunksOf(plaintextBytes));

    /// <summary>An empty segment still has one chunk: its tag is what proves that it is empty.</summary>
    public static long ChunksOf(long plaintextBytes) => Math.Max(1, (plaintextBytes + ChunkBytes - 1) / ChunkBytes);

    public static byte[] EncodePreface(int indexBytes, int files, long contentBytes)
    {
        var preface = new byte[PrefaceBytes];
        BinaryPrimitives.WriteUInt32BigEndian(preface, (uint)indexBytes);
        BinaryPrimitives.WriteUInt32BigEndian(preface.AsSpan(4), (uint)files);
        BinaryPrimitives.WriteUInt64BigEndian(preface.AsSpan(8), (ulong)contentBytes);
        return preface;
    }

    public static byte[] EncodeIndex(IReadOnlyList<AssetEntry> entries)
    {
        using var index = new MemoryStream();
        Span<byte> number = stackalloc byte[8];
        foreach (var entry in entries)
        {
            var path = Encoding.UTF8.GetBytes(entry.Path);
            BinaryPrimitives.WriteUInt16BigEndian(number, (ushort)path.Length);
            index.Write(number[..2]);
            index.Write(path);
            BinaryPrimitives.WriteUInt64BigEndian(number, (ulong)entry.SizeBytes);
            index.Write(number);
        }

        return index.ToArray();
    }
}

/// <summary>The keys of one sealed asset: from the set key, the asset id and a salt that is new with every sealing.</summary>
internal sealed class AssetKeys : IDisposable
{
    private readonly byte[] _pseudoRandomKey;
    private readonly byte[] _assetId;

    public AssetKeys(SetKey key, Guid assetId, ReadOnlySpan<byte> salt)
    {
        _assetId = assetId.ToByteArray(bigEndian: true);
        Salt = salt.ToArray();
        _pseudoRandomKey = new byte[32];
        HKDF.Extract(HashAlgorithmName.SHA256, key.Bytes, salt, _pseudoRandomKey);
        Commitment = HKDF.Expand(HashAlgorithmName.SHA256, _pseudoRandomKey, 32, [.. "rendertrust/asset/v1/commit\0"u8, .. _assetId]);
    }

    public byte[] Salt { get; }

    /// <summary>Says "this set key" without giving it away, so that one container can never open to two contents under two keys.</summary>
    public byte[] Commitment { get; }

    public Segment Preface() => For(PathId("preface", []));

    public Segment Index() => For(PathId("index", []));

    public Segment File(string path) => For(PathId("file", Encoding.UTF8.GetBytes(path)));

    public void Dispose() => CryptographicOperations.ZeroMemory(_pseudoRandomKey);

    internal static byte[] PathId(string kind, byte[] path) =>
        SHA256.HashData([.. "rendertrust/asset/v1/"u8, .. Encoding.ASCII.GetBytes(kind), 0x00, .. path]);

    internal byte[] SegmentKey(byte[] pathId) =>
        HKDF.Expand(HashAlgorithmName.SHA256, _pseudoRandomKey, 32, [.. "rendertrust/asset/v1/key\0"u8, .. _assetId, .. pathId]);

    private Segment For(byte[] pathId) =>
        new(SegmentKey(pathId), [.. AssetFormat.Magic, AssetFormat.Version, AssetFormat.Suite, .. _assetId, .. pathId]);
}

/// <summary>One STREAM: AES-256-GCM chunks whose nonce is an 11-byte counter and a byte that is 1 on the last chunk only.</summary>
internal sealed class Segment : IDisposable
{
    private readonly AesGcm _cipher;
    private readonly byte[] _associatedData;
    private readonly byte[] _nonce = new byte[12];
    private ulong _counter;

    public Segment(byte[] key, byte[] associatedData)
    {
        _cipher = new AesGcm(key, AssetFormat.TagBytes);
        _associatedData = associatedData;
        CryptographicOperations.ZeroMemory(key);
    }

    /// <summary>Encrypts in place: the target gets the plaintext's length and a tag.</summary>
    public void Seal(Span<byte> chunkAndTag, bool last) => _cipher.Encrypt(
        NextNonce(last), chunkAndTag[..^AssetFormat.TagBytes], chunkAndTag[..^AssetFormat.TagBytes], chunkAndTag[^AssetFormat.TagBytes..], _associatedData);

    /// <summary>Decrypts in place; false if the chunk is not the one that belongs here.</summary>
    public bool TryOpen(Span<byte> chunkAndTag, bool last)
    {
        try
        {
            var chunk = chunkAndTag[..^AssetFormat.TagBytes];
            _cipher.Decrypt(NextNonce(last), chunk, chunkAndTag[^AssetFormat.TagBytes..], chunk, _associatedData);
            return true;
        }
        catch (AuthenticationTagMismatchException)
        {
            return false;
        }
    }

    public void Dispose() => _cipher.Dispose();

    private byte[] NextNonce(bool last)
    {
        // Bytes 0 to 10 are the counter; its top three bytes stay zero because content is limited to 2^40 bytes.
        BinaryPrimitives.WriteUInt64BigEndian(_nonce.AsSpan(3), _counter++);
        _nonce[11] = last ? (byte)1 : (byte)0;
        return _nonce;
    }
}
