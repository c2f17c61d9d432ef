using System.Formats.Asn1;
using System.Security.Cryptography.X509Certificates;
using RenderTrust.Contracts;

namespace RenderTrust.Client.Identity;

/// <summary>Tells the platform's statement signer from the nodes and servers that hang under the same CA.</summary>
internal static class StatementCertificate
{
    private const string SubjectAlternativeName = "2.5.29.17";

    public static bool MaySignStatements(X509Certificate2 certificate) => Uris(certificate).Contains(WellKnown.StatementSignerUri, StringComparer.Ordinal);

    private static List<string> Uris(X509Certificate2 certificate)
    {
        var uris = new List<string>();
        if (certificate.Extensions[SubjectAlternativeName] is not { } extension)
        {
            return uris;
        }

        var uriTag = new Asn1Tag(TagClass.ContextSpecific, 6);
        try
        {
            var names = new AsnReader(extension.RawData, AsnEncodingRules.DER).ReadSequence();
            while (names.HasData)
            {
                if (names.PeekTag().HasSameClassAndValue(uriTag))
                {
                    uris.Add(names.ReadCharacterString(UniversalTagNumber.IA5String, uriTag));
                }
                else
                {
                    names.ReadEncodedValue();
                }
            }
        }
        catch (AsnContentException)
        {
            // A name that cannot be read marks nothing.
            uris.Clear();
        }

        return uris;
    }
}
