using System.CommandLine;
using System.Runtime.InteropServices;
using System.Text.Json;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using RenderTrust.Agent;
using RenderTrust.Agent.Enrollment;
using RenderTrust.Agent.Hosting;
using RenderTrust.Contracts;
using RenderTrust.Telemetry;

var state = new Option<string>("--state") { Description = "Folder of this node's identity and outbox", Required = true };

var gateway = new Option<Uri>("--gateway")
{
    Description = "Address of the gateway",
    Required = true,
    CustomParser = result =>
    {
        if (Uri.TryCreate(result.Tokens[0].Value, UriKind.Absolute, out var address) && address.Scheme is "http" or "https")
        {
            return address;
        }

        result.AddError($"--gateway is '{result.Tokens[0].Value}', which is no http or https address. Give one such as https://render.example.");
        return null;
    },
};
var tokenFile = new Option<string>("--token-file") { Description = "File with the one-time enrolment token", Required = true };
var name = new Option<string?>("--name") { Description = "Name put into the certificate request (the token's name is what counts)" };
var fingerprint = new Option<string?>("--ca-fingerprint") { Description = "SHA-256 of the platform's CA, for a gateway with a certificate from it" };
var enroll = new Command("enroll", "Make this machine a node of the platform") { gateway, tokenFile, state, name, fingerprint };
enroll.SetAction((parsed, cancellationToken) => GuardAsync(async () =>
{
    var (node, already) = await EnrolNode.RunAsync(
        new EnrolCommand(parsed.GetRequiredValue(gateway), parsed.GetRequiredValue(tokenFile), parsed.GetRequiredValue(state), parsed.GetValue(name), parsed.GetValue(fingerprint)),
        cancellationToken);
    Console.WriteLine($"{(already ? "Already enrolled" : "Enrolled")}: node {node.NodeId} ({node.Name}), hub {node.HubUrl}");
}));

var hub = new Option<string?>("--hub") { Description = "Address of the hub; default: the one from the enrolment" };
var runner = new Option<string?>("--runner") { Description = "auto, docker, bubblewrap, process or simulate" };
var slots = new Option<int?>("--slots") { Description = "Units at the same time; default: one per CPU, at most 8" };
var scratch = new Option<string?>("--scratch") { Description = "Memory-backed folder for opened assets; default /dev/shm" };
var scratchBytes = new Option<long?>("--scratch-bytes") { Description = "Most bytes of opened assets; default: a quarter of the memory" };
var gpu = new Option<bool>("--gpu") { Description = "Offer this machine's GPU" };
var plain = new Option<bool>("--allow-plain-process") { Description = "Development only: run modules without isolation if nothing better works" };
var idleSeconds = new Option<int?>("--idle-seconds") { Description = "End after this time with nothing to do; default: never" };
var run = new Command("run", "Run this node") { state, hub, runner, slots, scratch, scratchBytes, gpu, plain, idleSeconds };
run.SetAction((parsed, cancellationToken) => GuardAsync(() => RunNodeAsync(parsed, enrolFirst: null, cancellationToken)));

var poolKey = new Option<string>("--pool-key") { Description = "Key file that the agents of the platform's overflow pool share", Required = true };
var overflow = new Command("overflow", "Run as an agent of the platform's overflow pool: enrols by itself, ends when idle")
{
    state, poolKey, gateway, tokenFile, fingerprint, hub, runner, slots, scratch, scratchBytes, gpu, plain, idleSeconds,
};
overflow.SetAction((parsed, cancellationToken) => GuardAsync(() => RunNodeAsync(
    parsed,
    new EnrolCommand(
        parsed.GetRequiredValue(gateway), parsed.GetRequiredValue(tokenFile), parsed.GetRequiredValue(state), Name: null, parsed.GetValue(fingerprint), parsed.GetRequiredValue(poolKey)),
    cancellationToken)));

var keyFile = new Option<string>("--file") { Description = "Where the key file is or is to be made", Required = true };
var makePoolKey = new Command("pool-key", "Make the key of an overflow pool unless it is there; prints its public half as JSON") { keyFile };
makePoolKey.SetAction((parsed, _) => GuardAsync(() =>
{
    Console.WriteLine(JsonSerializer.Serialize(PoolKey.OpenOrMake(parsed.GetRequiredValue(keyFile)), WireJson.Options));
    return Task.CompletedTask;
}));

var tokens = new Option<string>("--tokens") { Description = "Folder of one-time enrolment tokens: one file NAME.token a node", Required = true };
var workMilliseconds = new Option<int?>("--work-milliseconds") { Description = "Pretended work of a unit" };
var fleet = new Command("fleet", "Run many simulated nodes in this one process, for load tests: every token file is a node of its own") { gateway, tokens, state, hub, slots, workMilliseconds };
fleet.SetAction((parsed, cancellationToken) => GuardAsync(async () =>
{
    using var loggers = Loggers(new ConfigurationBuilder().AddEnvironmentVariables().Build());
    await new SimulatedFleet(
        new FleetCommand(
            parsed.GetRequiredValue(gateway), parsed.GetRequiredValue(tokens), parsed.GetRequiredValue(state), parsed.GetValue(hub),
            parsed.GetValue(slots) ?? 1, parsed.GetValue(workMilliseconds) ?? 50),
        TimeProvider.System, loggers).RunAsync(cancellationToken);
}));

var root = new RootCommand("RenderTrust agent: enrols this machine and runs units on it") { enroll, run, overflow, makePoolKey, fleet };
using var stopping = new CancellationTokenSource();

// The first signal stops in order (units killed, scratch wiped, engine stopped); a second one is left to the system.
using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
return await root.Parse(args).InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = null }, stopping.Token);

void Stop(PosixSignalContext context)
{
    context.Cancel = !stopping.IsCancellationRequested;
    stopping.Cancel();
}

async Task RunNodeAsync(ParseResult parsed, EnrolCommand? enrolFirst, CancellationToken cancellationToken)
{
    var given = new Dictionary<string, string?>
    {
        ["Agent:StateFolder"] = parsed.GetRequiredValue(state),
        ["Agent:HubUrl"] = parsed.GetValue(hub),
        ["Agent:Runner"] = parsed.GetValue(runner),
        ["Agent:Slots"] = parsed.GetValue(slots)?.ToString(),
        ["Agent:ScratchFolder"] = parsed.GetValue(scratch),
        ["Agent:ScratchBytes"] = parsed.GetValue(scratchBytes)?.ToString(),
        ["Agent:Gpu"] = parsed.GetValue(gpu) ? "true" : null,
        ["Agent:AllowPlainProcess"] = parsed.GetValue(plain) ? "true" : null,
        ["Agent:IdleSeconds"] = parsed.GetValue(idleSeconds)?.ToString(),
    };
    var configuration = new ConfigurationBuilder().AddEnvironmentVariables()
        .AddInMemoryCollection(given.Where(pair => !string.IsNullOrEmpty(pair.Value))).Build();
    var services = new ServiceCollection();
    services.AddOptions<AgentOptions>().Bind(configuration.GetSection(AgentOptions.Section)).ValidateDataAnnotations();
    services.AddLogging(logging => Log(logging, configuration));
    services.AddSingleton(TimeProvider.System);
    var development = Environment.GetEnvironmentVariable("RENDERTRUST_ENVIRONMENT") == "Development";
    Failpoint.Enable(development, Environment.GetEnvironmentVariable(Failpoint.FolderVariable));
    services.AddSingleton(new NodeEnvironment(development, Environment.GetEnvironmentVariable("DOCKER_HOST")));
    services.AddSingleton<NodeHost>();
    using var otlp = Otlp.Start("agent", Environment.GetEnvironmentVariable(Otlp.EndpointVariable));
    await using var provider = services.BuildServiceProvider();
    await provider.GetRequiredService<NodeHost>().RunAsync(enrolFirst, cancellationToken);
}

static ILoggerFactory Loggers(IConfiguration configuration) => LoggerFactory.Create(logging => Log(logging, configuration));

static void Log(ILoggingBuilder logging, IConfiguration configuration)
{
    const string timestamp = "yyyy-MM-dd'T'HH:mm:ss.fff'Z'";
    logging.AddConfiguration(configuration.GetSection("Logging"));
    _ = configuration["Logging:Console:FormatterName"] == "json"
        ? logging.AddJsonConsole(console =>
        {
            console.TimestampFormat = timestamp;
            console.UseUtcTimestamp = true;
        })
        : logging.AddSimpleConsole(console =>
        {
            console.SingleLine = true;
            console.TimestampFormat = timestamp + " ";
            console.UseUtcTimestamp = true;
        });
}

// What a person can put right is one line and exit code 1, not a stack trace.
static async Task<int> GuardAsync(Func<Task> action)
{
    try
    {
        await action();
        return 0;
    }
    catch (Exception exception) when (exception is EnrolmentException or NodeStartException or OptionsValidationException
        or RenderTrust.Sealing.SealingException or UnauthorizedAccessException)
    {
        await Console.Error.WriteLineAsync($"error: {exception.Message}");
        return 1;
    }
    catch (OperationCanceledException)
    {
        return 0;
    }
}
