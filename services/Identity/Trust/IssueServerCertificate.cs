using System.Net;
using Microsoft.AspNetCore.Http.HttpResults;
using RenderTrust.Contracts;

namespace RenderTrust.Identity;

/// <summary>A certificate for the hub's listener. Only the gateway may ask; its private key never leaves it.</summary>
internal static partial class IssueServerCertificate
{
    private const int MaxNames = 20;

    public static Results<Ok<ServerCertificateResponse>, ProblemHttpResult> Handle(
        ServerCertificateRequest request, CertificateAuthority authority, PlatformKeys keys, ILogger<CertificateAuthority> logger)
    {
        var bad = request.DnsNames.FirstOrDefault(name => !IPAddress.TryParse(name, out _) && (name.Length > 253 || Uri.CheckHostName(name) != UriHostNameType.Dns));
        if (request.DnsNames.Count > MaxNames || bad is not null)
        {
            return Problems.Refuse(StatusCodes.Status400BadRequest, "badName", $"Between 1 and {MaxNames} host names or IP addresses are needed; '{bad}' is none of them.");
        }

        var (key, explanation) = CertificateAuthority.ReadRequest(request.CsrPem);
        if (key is null)
        {
            return Problems.Refuse(StatusCodes.Status400BadRequest, "badRequest", explanation);
        }

        using var certificate = authority.IssueServer(request.DnsNames, key);
        LogIssued(logger, certificate.SerialNumber, string.Join(", ", request.DnsNames));
        return TypedResults.Ok(new ServerCertificateResponse(certificate.ExportCertificatePem(), keys.Trust.CaCertificatePem));
    }

    [LoggerMessage(LogLevel.Information, "Issued server certificate {Serial} for {Names}")]
    private static partial void LogIssued(ILogger logger, string serial, string names);
}
