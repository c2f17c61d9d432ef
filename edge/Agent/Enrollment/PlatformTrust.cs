using System.Security.Cryptography.X509Certificates;

namespace RenderTrust.Agent.Enrollment;

internal static class PlatformTrust
{
    /// <summary>Trusts the platform's CA and nothing else; the host name is still checked.</summary>
    public static X509ChainPolicy Policy(X509Certificate2 authority)
    {
        var policy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust,

            // Revocation of hubs is the platform's to do by short certificates; there is no responder to ask.
            RevocationMode = X509RevocationMode.NoCheck,
        };
        policy.CustomTrustStore.Add(authority);
        return policy;
    }
}
