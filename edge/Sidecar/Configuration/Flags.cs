namespace RenderTrust.Sidecar.Configuration;

/// <summary>A mistake on the command line, in words for whoever wrote it.</summary>
internal sealed class UsageException(string message) : Exception(message);

/// <summary>
/// The command line as daprd and the dapr CLI read theirs: <c>--name value</c> or <c>--name=value</c>, with one dash or two. A switch takes a value
/// only after an equals sign. What follows <c>--</c>, or the first word that is no flag, is the app's own command.
/// </summary>
internal sealed class Flags
{
    private static readonly Dictionary<string, string> Short = new(StringComparer.Ordinal)
    {
        ["f"] = "run-file", ["a"] = "app-id", ["p"] = "app-port", ["H"] = "dapr-http-port", ["G"] = "dapr-grpc-port",
        ["c"] = "config", ["d"] = "resources-path", ["P"] = "app-protocol",
    };

    private readonly List<(string Name, string Value)> given = [];

    public IReadOnlyList<string> Command { get; private set; } = [];

    public static Flags Read(IReadOnlyList<string> args, IReadOnlyCollection<string> known, IReadOnlyCollection<string> switches)
    {
        var flags = new Flags();
        for (var i = 0; i < args.Count; i++)
        {
            var arg = args[i];
            if (arg == "--" || !arg.StartsWith('-'))
            {
                flags.Command = [.. args.Skip(arg == "--" ? i + 1 : i)];
                break;
            }

            var parts = arg.TrimStart('-').Split('=', 2);
            var name = Short.GetValueOrDefault(parts[0], parts[0]);
            if (switches.Contains(name))
            {
                flags.given.Add((name, parts.Length == 2 ? parts[1] : "true"));
            }
            else if (!known.Contains(name))
            {
                throw new UsageException($"{arg}: is not an option that we know");
            }
            else if (parts.Length == 2)
            {
                flags.given.Add((name, parts[1]));
            }
            else
            {
                flags.given.Add((name, ++i < args.Count ? args[i] : throw new UsageException($"{arg}: has no value")));
            }
        }

        return flags;
    }

    public string? Text(string name) => given.FindLast(flag => flag.Name == name).Value;

    public IReadOnlyList<string> All(string name) => [.. given.Where(flag => flag.Name == name).Select(flag => flag.Value)];

    public bool Flag(string name) => Text(name) switch
    {
        null => false,
        var text when bool.TryParse(text, out var value) => value,
        { } text => throw new UsageException($"--{name} {text}: is not true or false"),
    };

    public int? Number(string name, int least, int most) => Text(name) is not { } text
        ? null
        : int.TryParse(text, out var number) && number >= least && number <= most
            ? number
            : throw new UsageException($"--{name} {text}: is not a whole number from {least} to {most}");

    public void Refuse(string why, params ReadOnlySpan<string> names)
    {
        foreach (var name in names)
        {
            if (Text(name) is not null)
            {
                throw new UsageException($"--{name}: {why}");
            }
        }
    }
}
