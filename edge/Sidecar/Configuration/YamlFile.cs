using System.Text;
using System.Text.Unicode;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;
using YamlDotNet.RepresentationModel;

namespace RenderTrust.Sidecar.Configuration;

/// <summary>Reads YAML so that every later complaint can name the file, the line and the field.</summary>
internal static class YamlFile
{
    private const long BytesMax = 4 * 1024 * 1024;
    private const int DepthMax = 50;

    public static IReadOnlyList<YamlMap> Read(string path)
    {
        var text = ReadText(path);
        RefuseUnreadable(path, text);
        var stream = new YamlStream();
        try
        {
            stream.Load(new StringReader(text));
        }
        catch (YamlException e)
        {
            throw Unparsable(path, e);
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

    private static string ReadText(string path)
    {
        byte[] bytes;
        try
        {
            var length = new FileInfo(path).Length;
            if (length > BytesMax)
            {
                throw new ConfigurationException(path, 1, "file", $"has {length} bytes", null, $"split it: more than {BytesMax} bytes are not read");
            }

            bytes = File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ConfigurationException(path, 1, "file", $"cannot be read ({e.Message})", null, "check the path and its permissions");
        }

        ReadOnlySpan<byte> rest = bytes;
        for (var line = 1; !rest.IsEmpty; line++)
        {
            var end = rest.IndexOf((byte)'\n');
            if (!Utf8.IsValid(end < 0 ? rest : rest[..end]))
            {
                throw new ConfigurationException(path, line, "file", "has bytes that are not UTF-8", null, "save it as UTF-8");
            }

            rest = end < 0 ? [] : rest[(end + 1)..];
        }

        return Encoding.UTF8.GetString(bytes.AsSpan().StartsWith(Encoding.UTF8.Preamble) ? bytes.AsSpan(Encoding.UTF8.Preamble.Length) : bytes);
    }

    /// <summary>What would end or hang whoever builds and walks the tree: each level is a call within a call, and a key that is a tree is compared as one.</summary>
    private static void RefuseUnreadable(string path, string text)
    {
        var parser = new Parser(new StringReader(text));
        // For each open mapping or list: whether the next node is a key; null in a list.
        var open = new Stack<bool?>();
        try
        {
            while (parser.MoveNext())
            {
                var at = parser.Current!;
                if (at is MappingEnd or SequenceEnd)
                {
                    open.Pop();
                }

                if (at is not (Scalar or AnchorAlias or MappingStart or SequenceStart))
                {
                    continue;
                }

                if (open.TryPop(out var isKey))
                {
                    if (isKey is true && at is not Scalar)
                    {
                        throw new ConfigurationException(path, at.Start.Line, "yaml", "has a field whose name is no plain text", null, "write field: value");
                    }

                    open.Push(!isKey);
                }

                if (at is MappingStart or SequenceStart)
                {
                    open.Push(at is MappingStart ? true : null);
                    if (open.Count > DepthMax)
                    {
                        throw new ConfigurationException(path, at.Start.Line, "yaml", $"is nested deeper than {DepthMax} levels", null, "close brackets, and indent by two spaces");
                    }
                }
            }
        }
        catch (InvalidOperationException e)
        {
            // The parser's own state fails on some unclosed brackets, without a place: its last event is the nearest.
            throw new ConfigurationException(path, parser.Current?.End.Line ?? 1, "yaml", $"cannot be parsed ({e.Message})", null, "close every bracket and quote from this line on");
        }
        catch (YamlException e)
        {
            throw Unparsable(path, e);
        }
    }

    private static ConfigurationException Unparsable(string path, YamlException e) =>
        new(path, Math.Max(1, e.Start.Line), "yaml", e.InnerException?.Message ?? e.Message, null, $"fix the YAML syntax near column {e.Start.Column}");
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
        YamlScalarNode scalar => IsNull(scalar) ? null : Plain(scalar, Field(key)),
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
            ? Plain(scalar, $"{Field(key)}[{index}]")
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

    // Nothing that is named here (files, tables, programs) can have one in its name.
    private string Plain(YamlScalarNode scalar, string field) => scalar.Value?.Contains('\0', StringComparison.Ordinal) is true
        ? throw new ConfigurationException(file, scalar.Start.Line, field, "contains a NUL character", scalar.Value, "remove it")
        : scalar.Value ?? "";

    private static bool IsNull(YamlScalarNode scalar) =>
        scalar.Style == ScalarStyle.Plain && scalar.Value is null or "~" or "null";

    private string Field(string key) => path.Length == 0 ? key : $"{path}.{key}";
}
