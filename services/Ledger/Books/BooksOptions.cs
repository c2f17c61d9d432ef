using System.ComponentModel.DataAnnotations;

namespace RenderTrust.Ledger.Books;

/// <summary>How the balances of hot accounts are kept short to compute.</summary>
internal sealed class BooksOptions
{
    public const string Section = "Ledger:Books";

    /// <summary>Period of the roll-up of accounts that keep no balance of their own, in seconds. Default 300.</summary>
    [Range(1, 86_400)]
    public int RollUpSeconds { get; set; } = 300;
}

internal static class BooksServices
{
    public static IServiceCollection AddBooks(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddOptions<BooksOptions>().Bind(configuration.GetSection(BooksOptions.Section)).ValidateDataAnnotations().ValidateOnStart();
        return services.AddHostedService<RollUpBalancesLoop>();
    }
}
