using System.Security.Cryptography;

namespace RenderTrust.Sealing.Tests;

/// <summary>Assets to try things on, and the ways of reading them that tests share.</summary>
internal static class Samples
{
    public static readonly Guid AssetId = Guid.Parse("0199a1b2-c3d4-7e5f-8a6b-000000000001");
    public static readonly SetKey Key = SetKey.FromBytes([.. Enumerable.Range(0, 32).Select(i => (byte)i)]);

    public static byte[] Seal(params (string Path, byte[] Content)[] files) => Seal(Key, AssetId, files);

    public static byte[] Seal(SetKey key, Guid assetId, params (string Path, byte[] Content)[] files) =>
        AssetSealer.SealBytes(key, assetId, files.Select(file => KeyValuePair.Create(file.Path, file.Content))).Bytes;

    public static IReadOnlyDictionary<string, byte[]> Open(byte[] container) => AssetOpener.OpenBytes(Key, AssetId, container);

    public static SealingError ErrorOf(byte[] container, AssetLimits? limits = null) =>
        ErrorOf(() => AssetOpener.OpenBytes(Key, AssetId, container, limits));

    public static SealingError ErrorOf(Action action) => Assert.Throws<SealingException>(action).Error;

    public static byte[] Bytes(int length, int seed = 1)
    {
        var bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    /// <summary>A container whose index is what a hostile maker wants, but otherwise authentic.</summary>
    public static byte[] Forge(uint files, ulong contentBytes, byte[] index, params (string Path, byte[] Content)[] content)
    {
        using var output = new MemoryStream();
        using var keys = new AssetKeys(Key, AssetId, RandomNumberGenerator.GetBytes(32));
        output.Write(AssetFormat.Header(AssetId, keys));
        var preface = AssetFormat.EncodePreface(index.Length, (int)files, (long)contentBytes);
        using (var segment = keys.Preface())
        {
            Chunk(segment, preface);
        }

        using (var segment = keys.Index())
        {
            Chunk(segment, index);
        }

        foreach (var (path, bytes) in content)
        {
            using var segment = keys.File(path);
            Chunk(segment, bytes);
        }

        return output.ToArray();

        void Chunk(Segment segment, byte[] bytes)
        {
            byte[] chunk = [.. bytes, .. new byte[16]];
            segment.Seal(chunk, last: true);
            output.Write(chunk);
        }
    }

    public static byte[] Index(params (byte[] Path, long Size)[] entries) =>
        [.. entries.SelectMany(entry => (byte[])
        [
            (byte)(entry.Path.Length >> 8), (byte)entry.Path.Length, .. entry.Path, .. BitConverter.GetBytes(entry.Size).Reverse(),
        ])];
}
