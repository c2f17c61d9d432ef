using System.Reflection;
using Npgsql;
using RenderTrust.Postgres;
using Xunit;

namespace RenderTrust.TestKit;

/// <summary>
/// A fresh database per test class, laid out as the platform's: roles rendertrust_{service} that own their schemas.
/// Use as a class fixture; call <see cref="MigrateAsync"/> for each service whose tables the tests need.
/// </summary>
public class TestDatabase : IAsyncLifetime
{
    private static readonly string[] Services = ["gateway", "scheduler", "ledger", "billing", "identity", "catalog", "audit", "telemetry"];
    private readonly string name = $"rt_{Guid.CreateVersion7():N}";
    private readonly List<NpgsqlDataSource> sources = [];
    private string server = "";

    /// <summary>As superuser, in the fresh database.</summary>
    public string AdminConnectionString => $"{server};Database={name};Include Error Detail=true";

    public string ConnectionStringFor(string service) => $"{AdminConnectionString};Username=rendertrust_{service};Search Path={service};Maximum Pool Size=20";

    /// <summary>Data source of one service's own role.</summary>
    public NpgsqlDataSource DataSourceFor(string service)
    {
        var source = NpgsqlDataSource.Create(ConnectionStringFor(service));
        sources.Add(source);
        return source;
    }

    public NpgsqlDataSource Admin()
    {
        var source = NpgsqlDataSource.Create(AdminConnectionString);
        sources.Add(source);
        return source;
    }

    public async Task MigrateAsync(string service, Assembly assembly)
    {
        await using var source = NpgsqlDataSource.Create(ConnectionStringFor(service));
        await Migrations.ApplyAsync(source, service, Migrations.ReadFrom(assembly), CancellationToken.None);
    }

    public virtual async ValueTask InitializeAsync()
    {
        server = await PostgresServer.ConnectionStringAsync();
        await using var root = NpgsqlDataSource.Create($"{server};Database=postgres;Pooling=false");
        await using (var create = root.CreateCommand($"CREATE DATABASE {name}"))
        {
            await create.ExecuteNonQueryAsync();
        }

        await using var admin = NpgsqlDataSource.Create($"{AdminConnectionString};Pooling=false");
        foreach (var service in Services)
        {
            // Roles are of the whole cluster and other test processes make them at the same time.
            await using var command = admin.CreateCommand(
                $"""
                DO $$ BEGIN CREATE ROLE rendertrust_{service} LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
                CREATE SCHEMA {service} AUTHORIZATION rendertrust_{service};
                """);
            await command.ExecuteNonQueryAsync();
        }
    }

    public virtual async ValueTask DisposeAsync()
    {
        foreach (var source in sources)
        {
            await source.DisposeAsync();
        }

        NpgsqlConnection.ClearAllPools();
        await using var root = NpgsqlDataSource.Create($"{server};Database=postgres;Pooling=false");
        await using var drop = root.CreateCommand($"DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        await drop.ExecuteNonQueryAsync();
        GC.SuppressFinalize(this);
    }
}
