using System.Formats.Asn1;
using System.Security.Cryptography.X509Certificates;
using RenderTrust.Contracts;

namespace RenderTrust.Gateway.Hub;

/// <summary>Who a node is: only what the platform CA has certified, never what the node says of itself.</summary>
internal sealed record NodeIdentity(NodeId NodeId, TenantId OwnerTenantId, string RecipientKeyId, string Name)
{
    private const string UriPrefix = "urn:rendertrust:";
    private const string SubjectAlternativeName = "2.5.29.17";
    private static readonly Asn1Tag UniformResourceIdentifier = new(TagClass.ContextSpecific, 6);

    /// <summary>Null when the certificate is not one of a node: a server or statement certificate of the same CA, for example.</summary>
    public static NodeIdentity? TryRead(X509Certificate2 certificate)
    {
        ArgumentNullException.ThrowIfNull(certificate);
        if (certificate.Extensions[SubjectAlternativeName] is not { } extension)
        {
            return null;
        }

        var facts = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var uri in ReadUris(extension.RawData))
        {
            if (uri.StartsWith(UriPrefix, StringComparison.Ordinal) && uri.IndexOf(':', UriPrefix.Length) is var colon and > 0)
            {
                facts.TryAdd(uri[UriPrefix.Length..colon], uri[(colon + 1)..]);
            }
        }

        return facts.TryGetValue("node", out var node) && Contracts.NodeId.TryParse(node, null, out var nodeId)
            && facts.TryGetValue("tenant", out var tenant) && TenantId.TryParse(tenant, null, out var tenantId)
            && facts.TryGetValue("key", out var key)
                ? new NodeIdentity(nodeId, tenantId, key, facts.TryGetValue("name", out var name) ? Uri.UnescapeDataString(name) : nodeId.ToString())
                : null;
    }

    private static List<string> ReadUris(byte[] extension)
    {
        var uris = new List<string>();
        try
        {
            var names = new AsnReader(extension, AsnEncodingRules.DER).ReadSequence();
            while (names.HasData)
            {
                var tag = names.PeekTag();
                if (tag.HasSameClassAndValue(UniformResourceIdentifier))
                {
                    uris.Add(names.ReadCharacterString(UniversalTagNumber.IA5String, UniformResourceIdentifier));
                }
                else
                {
                    names.ReadEncodedValue();
                }
            }
        }
        catch (AsnContentException)
        {
            // The CA does not issue such a name, so it is not one of ours: no identity.
            return [];
        }

        return uris;
    }
}
