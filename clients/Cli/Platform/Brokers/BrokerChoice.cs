using RenderTrust.Cli.Output;

namespace RenderTrust.Cli.Platform.Brokers;

/// <summary>Which of the brokers that <c>up</c> can start a platform runs on.</summary>
internal static class BrokerChoice
{
    public const string Default = LocalRedis.Components;

    private static readonly Dictionary<string, string[]> Programs = new()
    {
        [LocalRedis.Components] = [LocalRedis.Components],
        [LocalRabbitMq.Components] = [LocalRabbitMq.Components, LocalRabbitMq.PortMapper],
    };

    /// <summary>What was asked for, else what the platform has had since it was last taken down.</summary>
    /// <param name="asked">By <c>--components</c>; null when it was not given.</param>
    /// <param name="earlier">Of the last start; null when the platform is new or was taken down.</param>
    /// <param name="isRunning">Whether any of that start still runs: its services hold connections to the broker they began with.</param>
    public static string Decide(string? asked, string? earlier, bool isRunning)
    {
        if (asked is not null)
        {
            Check("--components", asked);
        }

        if (asked is not null && earlier is not null && asked != earlier && isRunning)
        {
            throw new CliException($"The platform runs on {earlier}, and --components is '{asked}'. ./rendertrust broker swap {asked} moves it while it runs.", exitCode: 2);
        }

        return asked ?? earlier ?? Default;
    }

    public static void Check(string what, string broker)
    {
        if (!Programs.ContainsKey(broker))
        {
            throw new CliException(
                $"{what} is '{broker}'. This machine's own broker is '{LocalRedis.Components}' or '{LocalRabbitMq.Components}'; docs/guides/swapping-the-broker.md tells how others are used.",
                exitCode: 2);
        }
    }

    /// <summary>Names of the processes of every other broker, in the order in which they end.</summary>
    public static IEnumerable<string> ProgramsOfOthers(string broker) => Programs.Where(known => known.Key != broker).SelectMany(known => known.Value);

    public static ILocalBroker Create(string name, PlatformPaths paths, PortPlan ports) =>
        name == LocalRabbitMq.Components ? new LocalRabbitMq(paths, ports) : new LocalRedis(paths, ports);
}
