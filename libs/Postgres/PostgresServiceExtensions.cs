using System.Reflection;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;

namespace RenderTrust.Postgres;

/// <summary>Gives a service its data source (connection string <c>Postgres</c>) and applies its migrations before anything else starts.</summary>
public static class PostgresServiceExtensions
{
    public static IServiceCollection AddPostgres(this IServiceCollection services, IConfiguration configuration, string schema, Assembly migrations)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        var text = configuration.GetConnectionString("Postgres");
        if (string.IsNullOrWhiteSpace(text))
        {
            throw new InvalidOperationException(
                $"No connection string for schema {schema}. Set ConnectionStrings__Postgres, for example Host=127.0.0.1;Database=rendertrust;Username=rendertrust_{schema}.");
        }

        services.AddSingleton(provider =>
        {
            var builder = new NpgsqlDataSourceBuilder(text);
            builder.ConnectionStringBuilder.SearchPath = schema;
            builder.ConnectionStringBuilder.ApplicationName = $"rendertrust-{schema}";
            builder.ConnectionStringBuilder.MaxAutoPrepare = 100;
            builder.ConnectionStringBuilder.AutoPrepareMinUsages = 2;
            builder.UseLoggerFactory(provider.GetService<ILoggerFactory>());
            return builder.Build();
        });
        services.AddSingleton(new SchemaName(schema));
        // Inserted first: hosted services start in order, and every other one may query.
        services.Insert(0, ServiceDescriptor.Singleton<IHostedService>(provider => new MigrateAtStart(
            provider.GetRequiredService<NpgsqlDataSource>(), schema, Migrations.ReadFrom(migrations), provider.GetRequiredService<ILogger<MigrateAtStart>>())));
        return services;
    }
}

/// <summary>The schema that this process owns.</summary>
public sealed record SchemaName(string Value);


internal sealed partial class MigrateAtStart(NpgsqlDataSource dataSource, string schema, IReadOnlyList<Migration> migrations, ILogger<MigrateAtStart> logger) : IHostedService
{
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        foreach (var name in await Migrations.ApplyAsync(dataSource, schema, migrations, cancellationToken))
        {
            LogApplied(logger, schema, name);
        }
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    [LoggerMessage(LogLevel.Information, "Schema {Schema}: applied migration {Name}")]
    private static partial void LogApplied(ILogger logger, string schema, string name);
}
