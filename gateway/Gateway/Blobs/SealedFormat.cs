namespace RenderTrust.Gateway.Blobs;

/// <summary>
/// All that the gateway knows of the sealing format: how a sealed object begins (docs/formats/sealing.md). It can open none;
/// the check keeps plaintext that was sent by mistake from ever being written down.
/// </summary>
internal static class SealedFormat
{
    public static ReadOnlySpan<byte> Magic => "RTSEAL1\n"u8;

    public const string Refusal = "These bytes are not sealed: a sealed object begins with RTSEAL1. Seal the asset with the client before it is uploaded; the platform stores no plaintext.";

    /// <summary>Whether bytes that stand at <paramref name="offset"/> of an object may belong to a sealed one.</summary>
    public static bool Agrees(long offset, ReadOnlySpan<byte> bytes)
    {
        if (offset >= Magic.Length)
        {
            return true;
        }

        var expected = Magic[(int)offset..];
        var common = Math.Min(expected.Length, bytes.Length);
        return expected[..common].SequenceEqual(bytes[..common]);
    }
}
