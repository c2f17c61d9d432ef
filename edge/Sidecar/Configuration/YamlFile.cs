using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace RenderTrust.Sidecar.Configuration;

/// <summary>Reads YAML so that every later complaint can name the file, the line and the field.</summary>
internal static class YamlFile
{
    public static IReadOnlyList<YamlMap> Read(string path)
    {
        string text;
        try
        {
            text = File.ReadAllText(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ConfigurationException(path, 1, "file", $"cannot be read ({e.Message})", null, "check the path and its permissions");
        }

        var stream = new YamlStream();
        var parser = new Parser(new StringReader(text));
        try
        {
            stream.Load(parser);
        }
        catch (InvalidOperationException e)
        {
            // The parser's own state fails on some unclosed brackets, without a place: its last event is the nearest.
            throw new ConfigurationException(path, parser.Current?.End.Line ?? 1, "yaml", $"cannot be parsed ({e.Message})", null,
                "close every bracket and quote from this line on");
        }
        catch (YamlException e)
        {
            throw new ConfigurationException(path, e.Start.Line, "yaml", e.InnerException?.Message ?? e.Message, null,
                $"fix the YAML syntax near column {e.Start.Column}");
        }
        catch (Exception e) when (e is InvalidOperationException or ArgumentException or FormatException)
        {
            // The parser gives up on some input, such as a bracket that is never closed, without an error of its own.
            throw new ConfigurationException(path, parser.Current?.End.Line ?? 1, "yaml", "is not valid YAML from here on", null,
                "close every bracket and quote, and look for a missing colon");
        }

        var maps = new List<YamlMap>();
        foreach (var document in stream.Documents)
        {
            // A trailing `---` gives an empty document; that is not a mistake.
            if (document.RootNode is YamlScalarNode { Value: null or "" })
            {
                continue;
            }

            maps.Add(document.RootNode is YamlMappingNode map
                ? new YamlMap(path, map, "")
                : throw new ConfigurationException(path, document.RootNode.Start.Line, "document", "is not a mapping", null,
                    "a resource is a mapping of field: value"));
        }

        return maps;
    }
}

/// <summary>A mapping with its place in the file.</summary>
internal sealed class YamlMap(string file, YamlMappingNode node, string path)
{
    public string File => file;
    public long Line => node.Start.Line;

    public IEnumerable<string> Keys => node.Children.Keys.Select(key => ((YamlScalarNode)key).Value ?? "");

    public long LineOf(string key) => Find(key)?.Start.Line ?? node.Start.Line;

    public ConfigurationException Error(string key, string what, string? value, string remedy) =>
        new(file, LineOf(key), Field(key), what, value, remedy);

    public void RefuseUnknown(params ReadOnlySpan<string> known)
    {
        foreach (var (keyNode, _) in node.Children)
        {
            var key = (keyNode as YamlScalarNode)?.Value ?? "";
            if (!known.Contains(key))
            {
                throw new ConfigurationException(file, keyNode.Start.Line, Field(key), "is not a known field", key,
                    $"use one of: {string.Join(", ", known.ToArray())}");
            }
        }
    }

    public string? Text(string key) => Find(key) switch
    {
        null => null,
        YamlScalarNode scalar => IsNull(scalar) ? null : scalar.Value,
        _ => throw Error(key, "must be a single value", null, "write field: value"),
    };

    public string RequireText(string key, string remedy) =>
        Text(key) is { Length: > 0 } text ? text : throw Error(key, "is missing", null, remedy);

    public int? Port(string key)
    {
        if (Text(key) is not { } text)
        {
            return null;
        }

        return int.TryParse(text, out var port) && port is >= 0 and <= 65535
            ? port
            : throw Error(key, "is not a port", text, "write a number from 1 to 65535, or 0 for a free one");
    }

    public bool? Flag(string key) => Text(key) switch
    {
        null => null,
        "true" or "True" or "TRUE" => true,
        "false" or "False" or "FALSE" => false,
        { } other => throw Error(key, "is not true or false", other, "write true or false"),
    };

    public YamlMap? Map(string key) => Find(key) switch
    {
        null => null,
        YamlScalarNode { Value: null or "" } => null,
        YamlMappingNode map => new YamlMap(file, map, Field(key)),
        _ => throw Error(key, "must be a mapping", null, "indent its fields below it"),
    };

    public YamlMap RequireMap(string key, string remedy) => Map(key) ?? throw Error(key, "is missing", null, remedy);

    public IReadOnlyList<YamlMap> Maps(string key) =>
        [.. Sequence(key).Select((item, index) => item is YamlMappingNode map
            ? new YamlMap(file, map, $"{Field(key)}[{index}]")
            : throw new ConfigurationException(file, item.Start.Line, $"{Field(key)}[{index}]", "must be a mapping", null, "indent its fields below the dash"))];

    public IReadOnlyList<string> Texts(string key) =>
        [.. Sequence(key).Select((item, index) => item is YamlScalarNode scalar
            ? scalar.Value ?? ""
            : throw new ConfigurationException(file, item.Start.Line, $"{Field(key)}[{index}]", "must be a single value", null, "write one value after the dash"))];

    public IReadOnlyDictionary<string, string> TextMap(string key)
    {
        var map = Map(key);
        return map is null
            ? new Dictionary<string, string>()
            : map.Keys.ToDictionary(name => name, name => map.Text(name) ?? "", StringComparer.Ordinal);
    }

    private IEnumerable<YamlNode> Sequence(string key) => Find(key) switch
    {
        null => [],
        YamlScalarNode { Value: null or "" } => [],
        YamlSequenceNode sequence => sequence.Children,
        _ => throw Error(key, "must be a list", null, "start each item with a dash"),
    };

    private YamlNode? Find(string key)
    {
        foreach (var (keyNode, value) in node.Children)
        {
            if (keyNode is YamlScalarNode scalar && scalar.Value == key)
            {
                return value;
            }
        }

        return null;
    }

    private static bool IsNull(YamlScalarNode scalar) =>
        scalar.Style == ScalarStyle.Plain && scalar.Value is null or "~" or "null";

    private string Field(string key) => path.Length == 0 ? key : $"{path}.{key}";
}
