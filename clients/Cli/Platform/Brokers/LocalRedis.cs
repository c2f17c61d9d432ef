using RenderTrust.Cli.Output;

namespace RenderTrust.Cli.Platform.Brokers;

internal sealed class LocalRedis(PlatformPaths paths, PortPlan ports) : ILocalBroker
{
    public const string Components = "redis";

    public string Name => Components;

    public string Folder => Path.Combine(paths.Root, "redis");

    public IReadOnlyDictionary<string, string> Addresses => new Dictionary<string, string>
    {
        ["RENDERTRUST_REDIS"] = $"127.0.0.1:{ports[Name]}",
        ["RENDERTRUST_REDIS_PASSWORD"] = Password,
    };

    private string Password => LocalSecrets.ReadOrMake(paths.Keys, "redis");

    public async Task<IReadOnlyList<BrokerProgram>> PrepareAsync(CancellationToken cancellationToken)
    {
        var program = Shell.Find("redis-server") ?? throw CliException.NotInstalled("redis-server");
        PlatformPaths.CreatePrivate(Folder);

        // In a file and not on the command line, which every local user can read. Acknowledged means on disk: the broker carries facts about money.
        var file = Path.Combine(paths.Configuration, "redis.conf");
        await PlatformPaths.WritePrivateAsync(
            file,
            $"""
            port {ports[Name]}
            bind 127.0.0.1
            dir {Folder}
            requirepass {Password}
            save ""
            appendonly yes
            appendfsync always
            daemonize no

            """,
            cancellationToken);
        return [new BrokerProgram(Name, ports[Name], [program, file])];
    }

    public Task PlantAsync(string text, CancellationToken cancellationToken) => Shell.RunAsync(
        ["redis-cli", "-p", $"{ports[Name]}", "SET", "plaintext-control", text], cancellationToken,
        environment: new Dictionary<string, string> { ["REDISCLI_AUTH"] = Password });
}
