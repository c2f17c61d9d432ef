using System.Globalization;
using System.Text.Json;
using RenderTrust.PlacementLoad;

const string Usage =
    """
    Usage: RenderTrust.PlacementLoad placement [NODES [DECISIONS]] [--result FILE]
      chooses a node for DECISIONS units (5000), one after the other, among NODES nodes (500) that could all take them, and prints how long a choice takes;
      FILE gets it as JSON
    """;

var (nodes, decisions) = (500, 5000);
string? result = null;
if (args is [.. var before, "--result", var file])
{
    (args, result) = (before, file);
}

if (args is not ["placement", ..] || args.Length > 3
    || (args.Length > 1 && (!int.TryParse(args[1], NumberStyles.None, CultureInfo.InvariantCulture, out nodes) || nodes is < 1 or > 100_000))
    || (args.Length > 2 && (!int.TryParse(args[2], NumberStyles.None, CultureInfo.InvariantCulture, out decisions) || decisions is < 1 or > 10_000_000)))
{
    await Console.Error.WriteLineAsync(Usage);
    return 2;
}

var fleet = new MeasuredFleet(nodes);
// The first ones are compiled and belong to no figure.
fleet.Measure(decisions / 5);
var times = fleet.Measure(decisions);
await Console.Out.WriteLineAsync($"Measured {decisions} placements among {nodes} nodes: {times}");
if (result is not null)
{
    await File.WriteAllTextAsync(result, JsonSerializer.Serialize(times, JsonSerializerOptions.Web));
}

return 0;
