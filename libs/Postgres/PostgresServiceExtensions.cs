using System.Diagnostics;
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
            builder.ConnectionStringBuilder.UseSettledPlans();
            builder.UseLoggerFactory(provider.GetService<ILoggerFactory>());
            // Loops that look every second would otherwise be most of what a collector gets.
            builder.ConfigureTracing(tracing => tracing
                .ConfigureCommandFilter(_ => Activity.Current is { Recorded: true }).ConfigureBatchFilter(_ => Activity.Current is { Recorded: true })
                .EnablePhysicalOpenTracing(false));
            return builder.Build();
        });
        services.AddSingleton(new SchemaName(schema));
        // Inserted first: hosted services start in order, and every other one may query.
        services.Insert(0, ServiceDescriptor.Singleton<IHostedService>(provider => new MigrateAtStart(
            provider.GetRequiredService<NpgsqlDataSource>(), schema, Migrations.ReadFrom(migrations), provider.GetService<TimeProvider>() ?? TimeProvider.System,
            provider.GetRequiredService<ILogger<MigrateAtStart>>())));
        return services;
    }
}

/// <summary>The schema that this process owns.</summary>
public sealed record SchemaName(string Value);


internal sealed partial class MigrateAtStart(
    NpgsqlDataSource dataSource, string schema, IReadOnlyList<Migration> migrations, TimeProvider time, ILogger<MigrateAtStart> logger) : IHostedService
{
    // After a crash of everything the database may come back after its services, or may still be recovering.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(250);

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        await WaitForDatabaseAsync(cancellationToken);
        foreach (var name in await Migrations.ApplyAsync(dataSource, schema, migrations, cancellationToken))
        {
            LogApplied(logger, schema, name);
        }
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private async Task WaitForDatabaseAsync(CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        for (var failures = 1; ; failures++)
        {
            try
            {
                await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
                return;
            }
            catch (NpgsqlException exception) when (exception.IsTransient && time.GetElapsedTime(started) < Patience)
            {
                if (failures == 1)
                {
                    LogWaiting(logger, schema, exception.Message);
                }

                await Task.Delay(Pause, time, cancellationToken);
            }
        }
    }

    [LoggerMessage(LogLevel.Warning, "Schema {Schema}: the database cannot be reached yet and is waited for: {Cause}")]
    private static partial void LogWaiting(ILogger logger, string schema, string cause);

    [LoggerMessage(LogLevel.Information, "Schema {Schema}: applied migration {Name}")]
    private static partial void LogApplied(ILogger logger, string schema, string name);
}
