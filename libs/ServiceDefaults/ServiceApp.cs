using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Configuration;

namespace RenderTrust.ServiceDefaults;

/// <summary>What this process is on the platform: its Dapr app id, the port its sidecar calls it on, and the token that proves such a call.</summary>
/// <param name="AppPort">0 when the port is left to Kestrel (tests, or <c>Urls</c>).</param>
/// <param name="ApiToken">APP_API_TOKEN; null only in Development.</param>
/// <param name="HealthPort">HEALTH_PORT: a port on every address that answers <c>/healthz</c> and nothing else, for an orchestrator's probes; 0 for none.</param>
/// <param name="MetricsToken">METRICS_TOKEN: whoever shows it may read <c>/metrics</c>; null where only Development's own machine may.</param>
public sealed record ServiceApp(string AppId, int AppPort, string? ApiToken, bool IsDevelopment, int HealthPort = 0, string? MetricsToken = null)
{
    public static ServiceApp Read(string appId, IConfiguration configuration)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        var development = string.Equals(configuration["RENDERTRUST_ENVIRONMENT"], "Development", StringComparison.OrdinalIgnoreCase);
        var port = ReadPort(configuration, "APP_PORT", "the sidecar sets it by itself");
        var healthPort = ReadPort(configuration, "HEALTH_PORT", "leave it out where nothing probes this process from outside");
        var token = configuration["APP_API_TOKEN"];
        if (string.IsNullOrEmpty(token))
        {
            // Without the token anyone who reaches the port could speak for any app: only a developer's own machine may do without.
            token = development
                ? null
                : throw new InvalidOperationException(
                    $"APP_API_TOKEN is not set, so {appId} could not tell its sidecar from a stranger. Set it to the same secret for the app and its sidecar, or set RENDERTRUST_ENVIRONMENT=Development on a developer's machine.");
        }

        var metricsToken = configuration["METRICS_TOKEN"] is { Length: > 0 } given ? given : null;
        return new ServiceApp(appId, port, token, development, healthPort, metricsToken);
    }

    private static int ReadPort(IConfiguration configuration, string name, string hint)
    {
        var text = configuration[name];
        var port = 0;
        return string.IsNullOrEmpty(text) || (int.TryParse(text, out port) && port is >= 0 and <= 65_535)
            ? port
            : throw new InvalidOperationException($"{name} is '{text}', which is no port. Set it to a number from 1 to 65535; {hint}.");
    }

    /// <summary>Compares in a time that does not depend on where the first difference is.</summary>
    public bool IsApiToken(string? given) => IsSame(ApiToken, given);

    /// <inheritdoc cref="IsApiToken"/>
    public bool IsMetricsToken(string? given) => IsSame(MetricsToken, given);

    private static bool IsSame(string? secret, string? given) =>
        secret is not null && given is not null
        && CryptographicOperations.FixedTimeEquals(SHA256.HashData(Encoding.UTF8.GetBytes(given)), SHA256.HashData(Encoding.UTF8.GetBytes(secret)));
}
