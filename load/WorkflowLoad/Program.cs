using System.Text.Json;
using Dapr.Workflow;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using RenderTrust.WorkflowLoad;

const string Usage =
    """
    Usage: RenderTrust.WorkflowLoad worker | rate [SHAPE [COUNT [CLIENTS]]] [--result FILE]
      worker   works off the workflows until it is stopped; writes what its activities did to Postgres if WORKFLOW_LOAD_POSTGRES holds a connection string
      rate     works and starts COUNT workflows (1000) of SHAPE (Row) from CLIENTS (20) at once, and prints how fast they ended; FILE gets it as JSON
    The sidecar is named by DAPR_GRPC_ENDPOINT or DAPR_GRPC_PORT, and DAPR_API_TOKEN.
    """;

var (count, clients) = (1000, 20);
string? result = null;
if (args is [.. var before, "--result", var file])
{
    (args, result) = (before, file);
}

var shape = args.ElementAtOrDefault(1) ?? Shapes.Row;
if (args is not (["worker"] or ["rate", ..])
    || args.Length > 4 || !Shapes.All.Contains(shape) || Shapes.WaitsForGo(shape)
    || (args.Length > 2 && (!int.TryParse(args[2], out count) || count < 1))
    || (args.Length > 3 && (!int.TryParse(args[3], out clients) || clients < 1)))
{
    await Console.Error.WriteLineAsync(Usage);
    return 2;
}

var builder = Host.CreateApplicationBuilder();
builder.Logging.SetMinimumLevel(LogLevel.Warning);
builder.Services.AddDaprWorkflow(Shapes.Register);
builder.Services.AddSingleton<RateMeasurement>();
if (args[0] == "worker" && builder.Configuration["WORKFLOW_LOAD_POSTGRES"] is { Length: > 0 } postgres)
{
    builder.Services.AddSingleton(NpgsqlDataSource.Create(postgres));
    builder.Services.AddSingleton<EffectBook>();
}

using var host = builder.Build();
if (args[0] == "worker")
{
    await host.RunAsync();
    return 0;
}

await host.StartAsync();
var measurement = host.Services.GetRequiredService<RateMeasurement>();
await measurement.RunAsync(shape, 200, clients, CancellationToken.None);
var rate = await measurement.RunAsync(shape, count, clients, CancellationToken.None);
await Console.Out.WriteLineAsync($"Measured {rate}");
if (result is not null)
{
    await File.WriteAllTextAsync(result, JsonSerializer.Serialize(rate, JsonSerializerOptions.Web));
}

await host.StopAsync();
return 0;
