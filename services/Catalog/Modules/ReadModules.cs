using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using Npgsql;
using RenderTrust.Contracts;

namespace RenderTrust.Catalog;

/// <summary>Published modules are public to everyone on the platform: the same answers for creators and for the scheduler.</summary>
internal static class ReadModules
{
    private const int MaxModules = 1000;
    private const string Columns = "v.content, v.content_sha256, n.tenant_id, v.published_at FROM module_versions v JOIN module_names n USING (name)";

    /// <summary>The newest version of each module, by number.</summary>
    public static async Task<Ok<ModuleList>> ListAsync(NpgsqlDataSource database, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"SELECT DISTINCT ON (v.name) {Columns} ORDER BY v.name, v.version_order DESC LIMIT {MaxModules}");
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var modules = new List<ModuleVersion>();
        while (await reader.ReadAsync(cancellationToken))
        {
            modules.Add((await ReadAsync(reader, cancellationToken)).Version);
        }

        return TypedResults.Ok(new ModuleList(modules));
    }

    public static async Task<Results<Ok<ModuleVersion>, ProblemHttpResult>> GetNewestAsync(string name, NpgsqlDataSource database, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"SELECT {Columns} WHERE v.name = $1 ORDER BY v.version_order DESC LIMIT 1");
        command.Parameters.Add(new() { Value = name });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) ? TypedResults.Ok((await ReadAsync(reader, cancellationToken)).Version) : Unknown(name);
    }

    public static async Task<Results<Ok<ModuleVersion>, ProblemHttpResult>> GetAsync(string name, string version, NpgsqlDataSource database, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        var found = await FindAsync(connection, name, version, cancellationToken);
        return found is null ? Unknown($"{name}@{version}") : TypedResults.Ok(found.Version);
    }

    internal static async Task<Stored?> FindAsync(NpgsqlConnection connection, string name, string version, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand($"SELECT {Columns} WHERE v.name = $1 AND v.version = $2", connection)
        {
            Parameters = { new() { Value = name }, new() { Value = version } },
        };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) ? await ReadAsync(reader, cancellationToken) : null;
    }

    private static async Task<Stored> ReadAsync(NpgsqlDataReader reader, CancellationToken cancellationToken)
    {
        var content = JsonSerializer.Deserialize<PublishModuleRequest>(reader.GetString(0), WireJson.Options)!;
        return new Stored(
            new ModuleVersion(
                content.Name, content.Version, content.Title, content.Description, new TenantId(reader.GetGuid(2)), content.RatePerMinuteMicrocredits, content.Runtime,
                content.PublicParametersSchema, content.ParametersSchema, content.UnitParametersSchema, content.Tags!, content.Examples!,
                await reader.GetFieldValueAsync<DateTimeOffset>(3, cancellationToken)),
            reader.GetString(1));
    }

    private static ProblemHttpResult Unknown(string what) => TypedResults.Problem(
        $"There is no module {what}. GET /v1/modules lists what there is.", statusCode: StatusCodes.Status404NotFound, extensions: new Dictionary<string, object?> { ["code"] = "unknownModule" });

    internal sealed record Stored(ModuleVersion Version, string ContentSha256);
}
