using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;

namespace Dapr.Workflow.Worker.Replay;

/// <summary>Ids that follow from a name: UUID version 5 (RFC 9562).</summary>
internal static class NamedGuid
{
    // The namespace of all workflow ids made here; any constant would do.
    private static readonly Guid Workflows = new("6ba7b812-9dad-11d1-80b4-00c04fd430c8");

    /// <summary>A namespace for one generation of one instance.</summary>
    public static Guid Namespace(string seed) => Create(Workflows, seed);

    [SuppressMessage("Security", "CA5350", Justification = "Version 5 is defined by SHA-1; nothing secret hangs on it.")]
    public static Guid Create(Guid space, string name)
    {
        var hash = SHA1.HashData([.. space.ToByteArray(bigEndian: true), .. Encoding.UTF8.GetBytes(name)]);
        hash[6] = (byte)((hash[6] & 0x0F) | 0x50);
        hash[8] = (byte)((hash[8] & 0x3F) | 0x80);
        return new Guid(hash.AsSpan(0, 16), bigEndian: true);
    }
}
