using System.Globalization;
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

    // Handed out and not acknowledged, and what a group has not read yet. Database 0 is that of pubsub; a lag that Redis does not know is counted.
    private const string Undelivered =
        """
        local open, cursor = 0, '0'
        repeat
          local page = redis.call('SCAN', cursor, 'COUNT', 1000, 'TYPE', 'stream')
          cursor = page[1]
          for _, stream in ipairs(page[2]) do
            for _, group in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
              local facts = {}
              for i = 1, #group, 2 do facts[group[i]] = group[i + 1] end
              open = open + facts['pending'] + (facts['lag'] or #redis.call('XRANGE', stream, '(' .. facts['last-delivered-id'], '+'))
            end
          end
        until cursor == '0'
        return open
        """;

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

    public async Task<long> UndeliveredAsync(CancellationToken cancellationToken)
    {
        var answer = (await AskAsync(["EVAL", Undelivered, "0"], cancellationToken)).Trim();
        return long.TryParse(answer, CultureInfo.InvariantCulture, out var count) ? count : throw new CliException($"Redis was asked how many messages are undelivered and answered '{answer}'.");
    }

    public Task PlantAsync(string text, CancellationToken cancellationToken) => AskAsync(["SET", "plaintext-control", text], cancellationToken);

    private Task<string> AskAsync(IReadOnlyList<string> command, CancellationToken cancellationToken) => Shell.RunAsync(
        ["redis-cli", "-p", $"{ports[Name]}", .. command], cancellationToken, environment: new Dictionary<string, string> { ["REDISCLI_AUTH"] = Password });
}
