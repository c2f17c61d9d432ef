using System.ComponentModel.DataAnnotations;

namespace RenderTrust.Ledger.Posting;

/// <summary>How captures become entries, and entries become spendable earnings.</summary>
internal sealed class PostingOptions
{
    public const string Section = "Ledger:Posting";

    /// <summary>Wait between looks for new captures when there was none, in milliseconds. Default 250: a look is one read of an empty index.</summary>
    [Range(10, 60_000)]
    public int PollMilliseconds { get; set; } = 250;

    /// <summary>Captures posted by one transaction. Default 100: their creators' new holds wait for its length.</summary>
    [Range(1, 10_000)]
    public int BatchSize { get; set; } = 100;

    /// <summary>How long a creator may object before earnings are released, in seconds. Default 0.</summary>
    [Range(0, 31_536_000)]
    public int AcceptSeconds { get; set; }
}

internal static class PostingServices
{
    public static IServiceCollection AddPosting(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<PostingOptions>().Bind(configuration.GetSection(PostingOptions.Section)).ValidateDataAnnotations().ValidateOnStart();
        return services.AddHostedService<PostCapturesLoop>().AddHostedService<ReleaseEarningsLoop>();
    }
}
