using System.Text.Json;

namespace RenderTrust.EndToEnd.Tests.Platform;

/// <summary>A platform with simulated nodes, whose broker is changed while it works.</summary>
public sealed class SwapPlatform() : PlatformFixture("e2e-swap")
{
    protected override IReadOnlyList<string> Arguments => ["--nodes", "2", "--slots", "2", "--runner", "simulate"];

    /// <summary>Brokers that run, as <c>status</c> shows them.</summary>
    public async Task<IReadOnlyList<string>> BrokersAsync() =>
    [
        .. (await CliAsync(null, "status", "--json")).Json.GetProperty("services").EnumerateArray()
            .Select(part => part.GetProperty("name").GetString()!).Where(name => name is "redis" or "rabbitmq").Order(StringComparer.Ordinal),
    ];

    /// <summary>Pids of the parts that were written down as started: sooner than <c>status</c> could tell.</summary>
    public async Task<Dictionary<string, int>> PartsAsync() =>
        JsonElement.Parse(await File.ReadAllTextAsync(Path.Combine(Data, "state.json"))).GetProperty("processes").EnumerateArray()
            .ToDictionary(part => part.GetProperty("name").GetString()!, part => part.GetProperty("pid").GetInt32());

    public static IReadOnlyList<string> BrokersOf(Dictionary<string, int> parts) => [.. parts.Keys.Where(name => name is "redis" or "rabbitmq")];

    /// <summary>A command that is killed when the token says so. What it has started lives on.</summary>
    internal Task<ProgramResult> CliUntilKilledAsync(CancellationToken cancellationToken, params string[] arguments) =>
        Programs.DotnetAsync([Repository.Cli, .. arguments], Surroundings, TimeSpan.FromMinutes(4), cancellationToken, killsChildren: false);
}
