using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using RabbitMQ.Client;
using RenderTrust.Cli.Output;

namespace RenderTrust.Cli.Platform.Brokers;

/// <summary>
/// A RabbitMQ node with a data folder, a cookie, a port mapper (epmd) and a user of its own, beside any other on the machine. Its name stays the same
/// whatever its ports, since what it keeps belongs to the name.
/// </summary>
internal sealed class LocalRabbitMq(PlatformPaths paths, PortPlan ports) : ILocalBroker
{
    public const string Components = "rabbitmq";
    public const string PortMapper = "epmd";
    public const string NodePort = "rabbitmq.node";
    private const string User = "rendertrust";

    // The script in /usr/sbin becomes user rabbitmq and takes the machine's configuration; this one stays who it is.
    private const string Program = "/usr/lib/rabbitmq/bin/rabbitmq-server";
    private const string Control = "/usr/lib/rabbitmq/bin/rabbitmqctl";
    private const string Node = "rendertrust@localhost";

    /// <summary>Two, as the components have two addresses: the same topic on each is another exchange.</summary>
    private static readonly string[] VirtualHosts = ["pubsub", "broadcast"];

    public string Name => Components;

    public string Folder => Path.Combine(paths.Root, "rabbitmq");

    public IReadOnlyDictionary<string, string> Addresses => new Dictionary<string, string>
    {
        ["RENDERTRUST_RABBITMQ"] = AddressOf(VirtualHosts[0]),
        ["RENDERTRUST_RABBITMQ_BROADCAST"] = AddressOf(VirtualHosts[1]),
    };

    private string Password => LocalSecrets.ReadOrMake(paths.Keys, "rabbitmq");

    private string AddressOf(string virtualHost) => $"amqp://{User}:{Password}@127.0.0.1:{ports[Name]}/{virtualHost}";

    public async Task<IReadOnlyList<BrokerProgram>> PrepareAsync(CancellationToken cancellationToken)
    {
        if (!File.Exists(Program))
        {
            throw CliException.NotInstalled("rabbitmq-server");
        }

        var mapper = Shell.Find("epmd") ?? throw CliException.NotInstalled("epmd (package erlang-base)");
        PlatformPaths.CreatePrivate(Folder);
        var definitions = Path.Combine(paths.Configuration, "rabbitmq.json");
        var plugins = Path.Combine(paths.Configuration, "rabbitmq.plugins");
        var configuration = Path.Combine(paths.Configuration, "rabbitmq.conf");
        await PlatformPaths.WritePrivateAsync(definitions, Definitions(), cancellationToken);
        await PlatformPaths.WritePrivateAsync(plugins, "[].\n", cancellationToken);
        await PlatformPaths.WritePrivateAsync(
            configuration, $"listeners.tcp.1 = 127.0.0.1:{ports[Name]}\nload_definitions = {definitions}\nlog.console = true\nlog.file = false\n", cancellationToken);
        return
        [
            // Ours to start and to end: Erlang would leave a daemon behind that nobody knows of.
            new BrokerProgram(PortMapper, ports[PortMapper], [mapper, "-port", $"{ports[PortMapper]}", "-address", "127.0.0.1"]),
            new BrokerProgram(Name, ports[Name], [Program], Environment(configuration, plugins)),
        ];
    }

    public async Task PlantAsync(string text, CancellationToken cancellationToken)
    {
        await using var connection = await new ConnectionFactory { Uri = new Uri(AddressOf(VirtualHosts[0])) }.CreateConnectionAsync(cancellationToken);
        await using var channel = await connection.CreateChannelAsync(new CreateChannelOptions(true, true), cancellationToken);
        await channel.QueueDeclareAsync("plaintext-control", durable: true, exclusive: false, autoDelete: false, cancellationToken: cancellationToken);

        // Returns when the broker has it on disk.
        await channel.BasicPublishAsync(
            "", "plaintext-control", mandatory: true, new BasicProperties { Persistent = true }, Encoding.UTF8.GetBytes(text), cancellationToken);
    }

    public async Task<long> UndeliveredAsync(CancellationToken cancellationToken)
    {
        // Messages that wait and those that an app has and has not acknowledged; AMQP itself tells only of the first.
        var answer = await Shell.RunAsync(
            [Control, "-q", "-n", Node, "list_queues", "-p", VirtualHosts[0], "--formatter", "json", "messages"], cancellationToken,
            environment: new Dictionary<string, string> { ["HOME"] = Folder, ["ERL_EPMD_PORT"] = $"{ports[PortMapper]}", ["RABBITMQ_CONF_ENV_FILE"] = "/dev/null" });
        try
        {
            using var queues = JsonDocument.Parse(answer);
            return queues.RootElement.EnumerateArray().Sum(queue => queue.GetProperty("messages").GetInt64());
        }
        catch (JsonException)
        {
            throw new CliException($"RabbitMQ was asked how many messages are undelivered and answered '{answer.Trim()}'.", paths.Log(Name));
        }
    }

    private Dictionary<string, string> Environment(string configuration, string plugins) => new()
    {
        ["HOME"] = Folder, ["RABBITMQ_BASE"] = Folder, ["RABBITMQ_MNESIA_BASE"] = Path.Combine(Folder, "mnesia"), ["RABBITMQ_LOG_BASE"] = Path.Combine(Folder, "log"),
        ["RABBITMQ_NODENAME"] = Node, ["RABBITMQ_NODE_IP_ADDRESS"] = "127.0.0.1", ["RABBITMQ_NODE_PORT"] = $"{ports[Name]}",
        ["ERL_EPMD_PORT"] = $"{ports[PortMapper]}", ["ERL_EPMD_ADDRESS"] = "127.0.0.1", ["RABBITMQ_DIST_PORT"] = $"{ports[NodePort]}",
        ["RABBITMQ_CONFIG_FILE"] = configuration, ["RABBITMQ_ENABLED_PLUGINS_FILE"] = plugins, ["RABBITMQ_CONF_ENV_FILE"] = "/dev/null",
        ["RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS"] = "-kernel inet_dist_use_interface {127,0,0,1}",

        // The script then becomes the node instead of waiting for it: the process that we know is the one to end, and the one that is killed.
        ["detached"] = "true",
    };

    /// <summary>Read at every start of the node. Without the user guest, whose password everyone knows.</summary>
    private string Definitions() => JsonSerializer.Serialize(new
    {
        vhosts = VirtualHosts.Select(name => new { name }),
        users = new[] { new { name = User, password_hash = Hash(Password), hashing_algorithm = "rabbit_password_hashing_sha256", tags = Array.Empty<string>() } },
        permissions = VirtualHosts.Select(vhost => new { user = User, vhost, configure = ".*", write = ".*", read = ".*" }),
    });

    /// <summary>Four bytes of salt, then SHA-256 over salt and password, as <see href="https://www.rabbitmq.com/docs/passwords"/> has it.</summary>
    private static string Hash(string password)
    {
        var salt = RandomNumberGenerator.GetBytes(4);
        return Convert.ToBase64String([.. salt, .. SHA256.HashData([.. salt, .. Encoding.UTF8.GetBytes(password)])]);
    }
}
