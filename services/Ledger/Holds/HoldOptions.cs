using System.ComponentModel.DataAnnotations;

namespace RenderTrust.Ledger.Holds;

/// <summary>How holds end that nobody closed.</summary>
internal sealed class HoldOptions
{
    public const string Section = "Ledger:Holds";

    /// <summary>Period of the sweep for expired holds, in seconds. Default 30.</summary>
    [Range(1, 3600)]
    public int SweepSeconds { get; set; } = 30;

    /// <summary>Holds closed by one transaction of the sweep. Default 100.</summary>
    [Range(1, 10_000)]
    public int SweepBatchSize { get; set; } = 100;
}

internal static class HoldServices
{
    public static IServiceCollection AddHolds(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<HoldOptions>().Bind(configuration.GetSection(HoldOptions.Section)).ValidateDataAnnotations().ValidateOnStart();
        return services.AddHostedService<ExpireHoldsLoop>();
    }
}
