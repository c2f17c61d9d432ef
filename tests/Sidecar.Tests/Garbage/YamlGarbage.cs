using System.Text;
using System.Text.RegularExpressions;
using RenderTrust.TestKit;

namespace RenderTrust.Sidecar.Tests.Garbage;

/// <summary>Makes a good file bad: cut off, indented wrongly, values of another kind, fields missing or twice, nested without end, bytes that are no text.</summary>
internal static partial class YamlGarbage
{
    private static readonly string[] Values =
    [
        "", "~", "null", "[]", "{}", "[a, b]", "{a: b}", "[[]]", "-1", "0", "99999999999999999999", "1e308", "NaN", "true", "0x1F", "'unclosed", "\"\\0\"", "\"\\uD800\"", "\"a\\nb\"", "\"a||b\"",
        "2001-12-14", "*missing", "&a [*a]", "&a {b: *a}", "!!binary x", "!!int x", "!unknown x", "? x", ": x", "| ", "9999999h", "-5s", "1000000d", "@every 1ns", "@every 9999999h",
        "0 0 31 2 *", "5-1", "999", "/", "\ud83d\ude80", "\u202e", "{appID}", "{uuid}", "%", "@", "`",
    ];

    public static byte[] Of(string good, Random random)
    {
        // What connects somewhere is opened only where nothing but values of other settings changes: a changed address would be looked for in the network.
        var opened = random.Next(2) == 0;
        if (random.Next(2) == 0)
        {
            var text = opened ? good.Replace("scopes: [nobody]", "", StringComparison.Ordinal) : good;
            for (var times = random.Next(1, 3); times > 0; times--)
            {
                text = WithOtherValue(text, random);
            }

            return Encoding.UTF8.GetBytes(text);
        }

        return Damaged(good, random);
    }

    private static string WithOtherValue(string text, Random random)
    {
        var fields = Field().Matches(text).Where(field => !field.Value.Contains("127.0.0.1", StringComparison.Ordinal) && !field.Value.Contains("nobody", StringComparison.Ordinal)).ToList();
        var field = fields[random.Next(fields.Count)];
        var name = field.Groups["name"];
        var value = field.Groups["value"];
        return random.Next(8) switch
        {
            // Without the field.
            0 => text.Remove(field.Index, field.Length),
            // Twice.
            1 => text.Insert(field.Index, field.Value + "\n"),
            // A name that nobody knows.
            2 when !name.Value.Contains("name", StringComparison.Ordinal) => text.Remove(name.Index, name.Length).Insert(name.Index, name.Value + "x"),
            3 => text.Remove(value.Index, value.Length).Insert(value.Index, new string('v', random.Next(1, 100_000))),
            4 => text.Remove(value.Index, value.Length).Insert(value.Index, string.Concat(Enumerable.Repeat("!(", random.Next(1, 5000))) + "event.a"),
            _ => text.Remove(value.Index, value.Length).Insert(value.Index, Values[random.Next(Values.Length)]),
        };
    }

    private static byte[] Damaged(string good, Random random)
    {
        var lines = good.Split('\n').ToList();
        var at = random.Next(lines.Count);
        switch (random.Next(14))
        {
            case 0:
                return Encoding.UTF8.GetBytes(good[..random.Next(good.Length)]);
            case 1:
                lines.RemoveAt(at);
                break;
            case 2:
                lines.Insert(at, lines[random.Next(lines.Count)]);
                break;
            case 3:
                lines[at] = new string(' ', random.Next(1, 5)) + lines[at];
                break;
            case 4:
                lines[at] = lines[at].TrimStart();
                break;
            case 5:
                lines[at] = "\t" + lines[at];
                break;
            case 6:
                lines[at] += new string(random.Next(2) == 0 ? '[' : '{', random.Next(1, 20_000));
                break;
            case 7:
                lines[at] = string.Concat(Enumerable.Range(0, random.Next(1, 2000)).Select(n => new string(' ', n) + "a:\n"));
                break;
            case 8:
                // Each line ten times the one before it: small to read, without end to walk.
                lines.Insert(0, "a: &a0 [x]\n" + string.Concat(Enumerable.Range(1, 12).Select(n => $"b{n}: &a{n} [{string.Join(", ", Enumerable.Repeat($"*a{n - 1}", 10))}]\n")) + (random.Next(2) == 0 ? "? *a12\n: x" : ""));
                break;
            case 9:
                lines[at] += ((string[])["\0", "\u0007", "\u2028", "\ufeff", "\ud83d\ude80", " #", " : :", " - -", "\r", "%YAML 9.9"])[random.Next(10)];
                break;
            case 10:
                lines[at] = random.Next(2) == 0 ? "---" : "...";
                break;
            case 11:
                return Encoding.Unicode.GetBytes(good);
            default:
                return new Garble(random, []).Damaged(Encoding.UTF8.GetBytes(good));
        }

        return Encoding.UTF8.GetBytes(string.Join(random.Next(8) == 0 ? "\r\n" : "\n", lines));
    }

    // In block style and inside braces: "name: value".
    [GeneratedRegex("""(?<name>[A-Za-z_]+): ?(?<value>"[^"\n]*"|\[[^\]\n]*\]|[^,}\n]*)""")]
    private static partial Regex Field();
}
