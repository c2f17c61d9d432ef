using System.Security.Claims;
using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Postgres;
using RenderTrust.ServiceDefaults;

namespace RenderTrust.Catalog;

/// <summary>Outcome of a publication, in the order of the checks: what is there decides before any rule that may have changed since.</summary>
internal enum PublishOutcome
{
    AlreadyPublished,
    OtherContent,
    NameTaken,
    BadForm,
    RateOutOfRange,
    BadSchema,
    Published,
}

/// <summary>Told on topic <c>module-events</c>, of <c>pubsub</c> and of <c>broadcast</c>.</summary>
internal sealed record ModulePublished(
    Guid EventId, string Kind, DateTimeOffset At, string Name, string Version, TenantId DeveloperTenantId, string ImageDigest, long RatePerMinuteMicrocredits, string ContentSha256);

/// <summary>A new version of a module. Versions are immutable, so repeating one is safe and changing one is refused.</summary>
internal static partial class PublishModule
{
    public static async Task<Results<Created<ModuleVersion>, Ok<ModuleVersion>, ProblemHttpResult>> HandleAsync(
        PublishModuleRequest request, ClaimsPrincipal user, NpgsqlDataSource database, Outbox outbox, IOptions<ModuleOptions> options,
        TimeProvider time, ILogger<ModuleVersion> logger, CancellationToken cancellationToken)
    {
        var content = Canonical(request);
        var (outcome, refusal, version) = await DecideAsync(request, content, user.TenantId(), database, options.Value, time, cancellationToken);
        LogDecided(logger, request.Name, request.Version, user.TenantId(), outcome);
        switch (outcome)
        {
            case PublishOutcome.Published:
                outbox.Wake();
                return TypedResults.Created($"/v1/modules/{request.Name}/{request.Version}", version);
            case PublishOutcome.AlreadyPublished:
                return TypedResults.Ok(version);
            default:
                return TypedResults.Problem(
                    refusal, statusCode: StatusOf(outcome), extensions: new Dictionary<string, object?> { ["code"] = JsonNamingPolicy.CamelCase.ConvertName(outcome.ToString()) });
        }
    }

    private static int StatusOf(PublishOutcome outcome) => outcome switch
    {
        PublishOutcome.OtherContent => StatusCodes.Status409Conflict,
        PublishOutcome.NameTaken => StatusCodes.Status403Forbidden,
        _ => StatusCodes.Status422UnprocessableEntity,
    };

    private static async Task<(PublishOutcome Outcome, string? Refusal, ModuleVersion? Version)> DecideAsync(
        PublishModuleRequest request, string content, TenantId tenant, NpgsqlDataSource database, ModuleOptions options, TimeProvider time, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        // Publications of one name take turns: two at once cannot both be the first.
        await using (var turn = new NpgsqlCommand("SELECT pg_advisory_xact_lock(hashtextextended($1, 2))", connection, transaction) { Parameters = { new() { Value = request.Name } } })
        {
            await turn.ExecuteNonQueryAsync(cancellationToken);
        }

        var owner = await FindOwnerAsync(request.Name, transaction, cancellationToken);
        if (owner is { } other && other != tenant)
        {
            return (PublishOutcome.NameTaken, $"The name '{request.Name}' belongs to another developer. Choose another name.", null);
        }

        if (await ReadModules.FindAsync(connection, request.Name, request.Version, cancellationToken) is { } earlier)
        {
            return earlier.ContentSha256 == CanonicalJson.Sha256(content)
                ? (PublishOutcome.AlreadyPublished, null, earlier.Version)
                : (PublishOutcome.OtherContent, $"Version {request.Name}@{request.Version} is published with other content, and versions never change. Publish the change as a new version.", null);
        }

        if (ModuleRules.RefuseForm(request) is { } form)
        {
            return (PublishOutcome.BadForm, form, null);
        }

        if (ModuleRules.RefuseRate(request, options) is { } rate)
        {
            return (PublishOutcome.RateOutOfRange, rate, null);
        }

        if (await RefuseSchemasAsync(request, cancellationToken) is { } schema)
        {
            return (PublishOutcome.BadSchema, schema, null);
        }

        var now = time.GetUtcNow();
        await StoreAsync(request, content, tenant, options.NodeRate(request.Runtime.DeviceKind), now, transaction, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        // Read back, so that the answer is what everyone else will see, to the microsecond.
        return (PublishOutcome.Published, null, (await ReadModules.FindAsync(connection, request.Name, request.Version, cancellationToken))!.Version);
    }

    private static async Task<string?> RefuseSchemasAsync(PublishModuleRequest request, CancellationToken cancellationToken) =>
        await SchemaRules.RefuseAsync("publicParametersSchema", request.PublicParametersSchema, cancellationToken)
        ?? await SchemaRules.RefuseAsync("parametersSchema", request.ParametersSchema, cancellationToken)
        ?? await SchemaRules.RefuseAsync("unitParametersSchema", request.UnitParametersSchema, cancellationToken);

    private static async Task<TenantId?> FindOwnerAsync(string name, NpgsqlTransaction transaction, CancellationToken cancellationToken)
    {
        await using var find = new NpgsqlCommand("SELECT tenant_id FROM module_names WHERE name = $1", transaction.Connection, transaction) { Parameters = { new() { Value = name } } };
        return await find.ExecuteScalarAsync(cancellationToken) is Guid owner ? new TenantId(owner) : null;
    }

    private static async Task StoreAsync(
        PublishModuleRequest request, string content, TenantId tenant, long nodeRate, DateTimeOffset now, NpgsqlTransaction transaction, CancellationToken cancellationToken)
    {
        ModuleRules.TryOrder(request.Version, out var order);
        var hash = CanonicalJson.Sha256(content);
        await using var insert = new NpgsqlCommand(
            """
            WITH named AS (INSERT INTO module_names (name, tenant_id, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING)
            INSERT INTO module_versions (name, version, version_order, device_kind, image_digest, rate_per_minute_microcredits, node_rate_per_minute_microcredits, content, content_sha256, published_at)
            VALUES ($1, $4, $5, $6, $7, $8, $9, $10, $11, $3)
            """, transaction.Connection, transaction);
        foreach (var value in new object[]
        {
            request.Name, tenant.Value, now.UtcDateTime, request.Version, order, JsonNamingPolicy.CamelCase.ConvertName(request.Runtime.DeviceKind.ToString()),
            request.Runtime.ImageDigest, request.RatePerMinuteMicrocredits, nodeRate, content, hash,
        })
        {
            insert.Parameters.Add(new() { Value = value });
        }

        await insert.ExecuteNonQueryAsync(cancellationToken);
        var fact = new ModulePublished(
            Guid.CreateVersion7(now), "versionPublished", now, request.Name, request.Version, tenant, request.Runtime.ImageDigest, request.RatePerMinuteMicrocredits, hash);
        var payload = JsonSerializer.Serialize(fact, WireJson.Options);
        await Outbox.AddAsync(transaction, fact.EventId, Topics.PubSub, Topics.ModuleEvents, payload, cancellationToken);

        // And to every replica of everyone who keeps a list of modules.
        await Outbox.AddAsync(transaction, Guid.CreateVersion7(now), Topics.Broadcast, Topics.ModuleEvents, payload, cancellationToken);
        var evidence = new
        {
            FactId = Guid.CreateVersion7(now), Kind = "catalog.versionPublished", At = now, TenantId = tenant,
            Facts = new { Module = $"{request.Name}@{request.Version}", ContentSha256 = hash },
        };
        await Outbox.AddAsync(transaction, evidence.FactId, Topics.PubSub, Topics.Evidence, JsonSerializer.Serialize(evidence, WireJson.Options), cancellationToken);
    }

    /// <summary>Absent and empty lists are the same content.</summary>
    internal static string Canonical(PublishModuleRequest request) =>
        CanonicalJson.Write(JsonSerializer.SerializeToElement(request with { Tags = request.Tags ?? [], Examples = request.Examples ?? [] }, WireJson.Options));

    [LoggerMessage(LogLevel.Information, "Publication of {Name}@{Version} by tenant {TenantId}: {Outcome}")]
    private static partial void LogDecided(ILogger logger, string name, string version, TenantId tenantId, PublishOutcome outcome);
}
