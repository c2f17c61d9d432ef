using System.Text;
using System.Text.Json.Nodes;
using RenderTrust.TestKit;

namespace RenderTrust.Sidecar.Tests.Garbage;

/// <summary>Turns a good JSON text into one that no caller should send: fields of another type, missing, doubled, absurd; or broken bytes.</summary>
internal static class JsonGarbage
{
    // As written, so that also what no library would write gets through: half of a surrogate pair, a number beyond every type.
    private static readonly string[] Values =
    [
        "null", "true", "0", "-1", "1e999", "9223372036854775808", "-9223372036854775809", "1.5", "123456789012345678901234567890", "\"\"", "\"\\ud800\"", "\"a\\u0000b\"", "\"a||b\"", "[]",
        "{}", "[[]]", "{\"\":null}", "\"9999999h\"", "\"-5s\"", "\"PT5S\"", "\"P99999999W\"", "\"R5/PT1H\"", "\"R0/\"", "\"9999-12-31T23:59:59Z\"", "\"0001-01-01T00:00:00Z\"", "{\"seconds\":9223372036854775807}",
    ];

    public static byte[] Of(string good, Random random, Garble garble) => random.Next(12) switch
    {
        0 => garble.Bytes(random.Next(300)),
        1 => garble.Damaged(Encoding.UTF8.GetBytes(good)),
        2 => Encoding.UTF8.GetBytes(good[..random.Next(good.Length)]),
        3 => Encoding.UTF8.GetBytes(new string('[', random.Next(1, 100_000)) + good),
        4 => Encoding.UTF8.GetBytes(good),
        5 => [.. Encoding.UTF8.GetBytes(good).SelectMany(b => b == 'a' ? [b, (byte)0xff] : new[] { b })],
        _ => Encoding.UTF8.GetBytes(Changed(good, random, garble)),
    };

    /// <summary>Well-formed, except for what a value itself may hold.</summary>
    public static string Changed(string good, Random random, Garble garble)
    {
        var root = JsonNode.Parse(good)!;
        for (var times = random.Next(1, 4); times > 0; times--)
        {
            var parents = Parents(root).ToList();
            if (parents.Count == 0)
            {
                return Values[random.Next(Values.Length)];
            }

            Change(parents[random.Next(parents.Count)], random, garble);
        }

        // A marker stands for each absurd value until the text is made: it need not be JSON that can be parsed.
        var text = root.ToJsonString();
        for (var i = 0; i < Values.Length; i++)
        {
            text = text.Replace($"\"@{i}@\"", Values[i], StringComparison.Ordinal);
        }

        // A field that is there twice.
        return random.Next(6) == 0 && text.StartsWith('{') && text.Length > 2 ? string.Concat("{", text.AsSpan(1, text.Length - 2), ",", text.AsSpan(1)) : text;
    }

    private static void Change(JsonNode parent, Random random, Garble garble)
    {
        var value = random.Next(4) == 0 ? JsonValue.Create(garble.Text()) : JsonValue.Create($"@{random.Next(Values.Length)}@");
        if (parent is JsonArray list)
        {
            var at = random.Next(list.Count);
            switch (random.Next(3))
            {
                case 0:
                    list.RemoveAt(at);
                    break;
                case 1:
                    list.Add(list[at]?.DeepClone());
                    break;
                default:
                    list[at] = value;
                    break;
            }

            return;
        }

        var map = (JsonObject)parent;
        var name = map.ElementAt(random.Next(map.Count)).Key;
        switch (random.Next(5))
        {
            case 0:
                map.Remove(name);
                break;
            case 1:
                map[garble.Text()] = value;
                break;
            default:
                map[name] = value;
                break;
        }
    }

    private static IEnumerable<JsonNode> Parents(JsonNode? node) => node switch
    {
        JsonObject { Count: > 0 } map => map.SelectMany(entry => Parents(entry.Value)).Prepend(map),
        JsonArray { Count: > 0 } list => list.SelectMany(Parents).Prepend(list),
        _ => [],
    };
}
