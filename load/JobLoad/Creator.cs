using RenderTrust.Client;
using RenderTrust.Client.Identity;
using RenderTrust.Client.Profiles;

namespace RenderTrust.JobLoad;

/// <summary>The creator that the load acts as.</summary>
internal static class Creator
{
    public static async Task<RenderTrustClient> OpenAsync(Uri gateway, string folder, CancellationToken cancellationToken)
    {
        if (!gateway.IsLoopback)
        {
            throw new LoadException($"The gateway is {gateway}. Load is put on platforms of this machine only: give an address such as http://127.0.0.1:8080.");
        }

        if (!CreatorProfile.Exists(folder))
        {
            (await RenderTrustClient.SignUpAsync(new SignUp(gateway, "Load", Environment.MachineName), folder, cancellationToken)).Dispose();
        }

        // Nothing is fetched, so nothing needs to be remembered; records would be thousands of files.
        return new RenderTrustClient(CreatorProfile.Load(folder), new RenderTrustClientOptions { KeepJobRecords = false });
    }
}
