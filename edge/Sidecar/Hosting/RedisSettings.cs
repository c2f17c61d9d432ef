using RenderTrust.Sidecar.Configuration;
using StackExchange.Redis;

namespace RenderTrust.Sidecar.Hosting;

/// <summary>The connection settings that all components on Redis have in common.</summary>
internal static class RedisSettings
{
    public static ConfigurationOptions Read(ComponentSettings settings, string clientName)
    {
        if (settings.Text("redisType") is { Length: > 0 } type && type != "node")
        {
            throw settings.Error("redisType", "is not served by the embedded sidecar", type, "write node, or run with the real daprd");
        }

        settings.RefuseAny("sentinelMasterName", "clientCert", "clientKey");
        settings.RefuseSet("failover", "useEntraID", "insecureSkipTLSVerify");
        var host = settings.Text("redisHost");
        if (string.IsNullOrEmpty(host))
        {
            throw settings.Error("redisHost", "is missing", null, "write host:port");
        }

        return new ConfigurationOptions
        {
            EndPoints = { settings.Text("redisPort") is { Length: > 0 } port ? $"{host}:{port}" : host },
            User = settings.Text("redisUsername") is { Length: > 0 } user ? user : null,
            Password = settings.Text("redisPassword"),
            DefaultDatabase = settings.Number("redisDB") ?? 0,
            Ssl = settings.Flag("enableTLS"),
            // RESP3 answers a blocking group read in another shape, which the client does not hide for raw commands.
            Protocol = RedisProtocol.Resp2,
            AbortOnConnectFail = true,
            ConnectRetry = 3,
            ClientName = clientName,
            // Neither streams nor state need channels; without them each client keeps one connection instead of two.
            CommandMap = CommandMap.Create(["SUBSCRIBE", "UNSUBSCRIBE", "PSUBSCRIBE", "PUNSUBSCRIBE", "CLUSTER"], available: false),
        };
    }

    public static ConfigurationException Unreachable(ComponentSettings settings, RedisConnectionException cause) =>
        settings.Error("redisHost", $"cannot be connected to ({cause.Message})", settings.Text("redisHost"), "start Redis or correct the address");
}
