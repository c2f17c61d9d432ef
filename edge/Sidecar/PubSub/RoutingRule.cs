using System.Globalization;
using System.Text;
using System.Text.Json;

namespace RenderTrust.Sidecar.PubSub;

/// <summary>A rule that is written in CEL, but uses more of it than is understood here.</summary>
internal sealed class RuleException(string message) : Exception(message);

/// <summary>
/// The part of CEL that routing rules use: <c>event.a.b</c>, text, numbers, true/false/null, lists, == != &lt; &lt;= &gt; &gt;=,
/// in, &amp;&amp; || !, parentheses, has(), startsWith(), endsWith(), contains(). Anything else is refused when the rule is read,
/// never guessed when an event comes.
/// </summary>
internal sealed class RoutingRule
{
    private readonly Func<JsonElement, object?> evaluate;

    private RoutingRule(Func<JsonElement, object?> evaluate) => this.evaluate = evaluate;

    /// <param name="text">The rule.</param>
    /// <param name="fields">Names that stand for themselves, where rules are not about an <c>event</c>.</param>
    public static RoutingRule Parse(string text, IReadOnlyList<string>? fields = null)
    {
        var parser = new Parser(text, fields);
        return new RoutingRule(parser.ParseAll());
    }

    /// <summary>A field that the event lacks makes the comparison false, not the delivery fail.</summary>
    public bool Matches(JsonElement envelope) => evaluate(envelope) is true;

    private static object? Value(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.String => element.GetString(),
        JsonValueKind.Number => element.GetDouble(),
        JsonValueKind.True => true,
        JsonValueKind.False => false,
        JsonValueKind.Null => null,
        JsonValueKind.Undefined => Missing.Instance,
        _ => element,
    };

    private sealed class Missing
    {
        public static readonly Missing Instance = new();
    }

    private sealed class Parser(string text, IReadOnlyList<string>? fields)
    {
        // Each level is a call within a call, here and at every event; no rule that means something needs as many.
        private const int DepthMax = 64;
        private const int TermsMax = 1000;
        private const int ShownMax = 60;

        private int at;
        private int depth;
        private int terms;

        public Func<JsonElement, object?> ParseAll()
        {
            var rule = Or();
            SkipSpace();
            return at == text.Length ? rule : throw Unexpected();
        }

        private Func<JsonElement, object?> Or()
        {
            var left = And();
            while (Take("||"))
            {
                var (first, second) = (left, And());
                left = e => first(e) is true || second(e) is true;
            }

            return left;
        }

        private Func<JsonElement, object?> And()
        {
            var left = Comparison();
            while (Take("&&"))
            {
                var (first, second) = (left, Comparison());
                left = e => first(e) is true && second(e) is true;
            }

            return left;
        }

        private Func<JsonElement, object?> Comparison()
        {
            var left = Unary();
            foreach (var op in (ReadOnlySpan<string>)["==", "!=", "<=", ">=", "<", ">"])
            {
                if (Take(op))
                {
                    var right = Unary();
                    return e => Compare(op, left(e), right(e));
                }
            }

            if (TakeWord("in"))
            {
                var list = Unary();
                return e =>
                {
                    var value = left(e);
                    return list(e) is object?[] items && items.Any(item => Equals(item, value));
                };
            }

            return left;
        }

        private static bool Compare(string op, object? left, object? right)
        {
            if (left is Missing || right is Missing)
            {
                return false;
            }

            if (op is "==" or "!=")
            {
                return Equals(left, right) == (op == "==");
            }

            var order = (left, right) switch
            {
                (double a, double b) => a.CompareTo(b),
                (string a, string b) => string.CompareOrdinal(a, b),
                _ => (int?)null,
            };
            return order is { } sign && op switch { "<" => sign < 0, "<=" => sign <= 0, ">" => sign > 0, _ => sign >= 0 };
        }

        private Func<JsonElement, object?> Unary()
        {
            var isNegated = false;
            var isAny = false;
            while (Take("!"))
            {
                (isNegated, isAny) = (!isNegated, true);
            }

            var inner = Primary();
            return !isAny ? inner : isNegated ? e => inner(e) is false : e => inner(e) is true;
        }

        private Func<JsonElement, object?> Primary()
        {
            if (++terms > TermsMax)
            {
                throw new RuleException($"the rule has more than {TermsMax} terms");
            }

            if (++depth > DepthMax)
            {
                throw new RuleException($"the rule is nested deeper than {DepthMax} levels");
            }

            var term = Term();
            depth--;
            return term;
        }

        private Func<JsonElement, object?> Term()
        {
            SkipSpace();
            if (Take("("))
            {
                var inner = Or();
                Expect(")");
                return inner;
            }

            if (Take("["))
            {
                return List();
            }

            if (at < text.Length && text[at] is '"' or '\'')
            {
                var constant = Text();
                return _ => constant;
            }

            if (at < text.Length && (char.IsAsciiDigit(text[at]) || text[at] == '-'))
            {
                var number = Number();
                return _ => number;
            }

            return Named();
        }

        private Func<JsonElement, object?> Named()
        {
            var start = at;
            var name = Identifier();
            switch (name)
            {
                case "true":
                    return _ => true;
                case "false":
                    return _ => false;
                case "null":
                    return _ => null;
                case "has":
                    Expect("(");
                    var inner = Primary();
                    Expect(")");
                    return e => inner(e) is not Missing;
                case "event" when fields is null:
                    return Path();
                case var field when fields?.Contains(field) is true:
                    return e => Value(Follow(e, [field]));
                default:
                    at = start;
                    throw Unexpected();
            }
        }

        private Func<JsonElement, object?> Path()
        {
            var path = new List<string>();
            while (true)
            {
                if (Take("["))
                {
                    path.Add(Text());
                    Expect("]");
                    continue;
                }

                if (!Take("."))
                {
                    break;
                }

                var name = Identifier();
                if (Take("("))
                {
                    return Call(name, path);
                }

                path.Add(name);
            }

            if (path.Count == 0)
            {
                throw Unexpected();
            }

            return e => Value(Follow(e, path));
        }

        private Func<JsonElement, object?> Call(string name, List<string> path)
        {
            var argument = Text();
            Expect(")");
            return name switch
            {
                "startsWith" => e => Value(Follow(e, path)) is string s && s.StartsWith(argument, StringComparison.Ordinal),
                "endsWith" => e => Value(Follow(e, path)) is string s && s.EndsWith(argument, StringComparison.Ordinal),
                "contains" => e => Value(Follow(e, path)) is string s && s.Contains(argument, StringComparison.Ordinal),
                _ => throw new RuleException($"the function {name}() is not understood here"),
            };
        }

        private static JsonElement Follow(JsonElement element, List<string> path)
        {
            foreach (var name in path)
            {
                if (element.ValueKind != JsonValueKind.Object || !element.TryGetProperty(name, out var next))
                {
                    return default;
                }

                element = next;
            }

            return element;
        }

        private Func<JsonElement, object?> List()
        {
            var items = new List<Func<JsonElement, object?>>();
            while (!Take("]"))
            {
                if (items.Count > 0)
                {
                    Expect(",");
                }

                items.Add(Primary());
            }

            return e => items.Select(item => item(e)).ToArray();
        }

        private string Text()
        {
            SkipSpace();
            if (at >= text.Length || text[at] is not ('"' or '\''))
            {
                throw Unexpected();
            }

            var quote = text[at++];
            var value = new StringBuilder();
            while (at < text.Length && text[at] != quote)
            {
                if (text[at] == '\\' && at + 1 < text.Length)
                {
                    at++;
                    value.Append(text[at] switch { 'n' => '\n', 't' => '\t', 'r' => '\r', var c => c });
                }
                else
                {
                    value.Append(text[at]);
                }

                at++;
            }

            Expect(quote.ToString());
            return value.ToString();
        }

        private double Number()
        {
            var start = at++;
            while (at < text.Length && (char.IsAsciiDigit(text[at]) || text[at] == '.'))
            {
                at++;
            }

            return double.TryParse(text.AsSpan(start, at - start), CultureInfo.InvariantCulture, out var number) ? number : throw Unexpected();
        }

        private string Identifier()
        {
            SkipSpace();
            var start = at;
            while (at < text.Length && (char.IsAsciiLetterOrDigit(text[at]) || text[at] == '_'))
            {
                at++;
            }

            return at > start ? text[start..at] : throw Unexpected();
        }

        private bool TakeWord(string word)
        {
            SkipSpace();
            var end = at + word.Length;
            if (!text.AsSpan(at).StartsWith(word) || (end < text.Length && char.IsAsciiLetterOrDigit(text[end])))
            {
                return false;
            }

            at = end;
            return true;
        }

        private bool Take(string token)
        {
            SkipSpace();
            if (!text.AsSpan(at).StartsWith(token))
            {
                return false;
            }

            at += token.Length;
            return true;
        }

        private void Expect(string token)
        {
            if (!Take(token))
            {
                throw Unexpected();
            }
        }

        private void SkipSpace()
        {
            while (at < text.Length && char.IsWhiteSpace(text[at]))
            {
                at++;
            }
        }

        private RuleException Unexpected() => new(at < text.Length
            ? $"'{text.AsSpan(at, Math.Min(ShownMax, text.Length - at))}' at column {at + 1} is not understood here"
            : "the rule ends too early");
    }
}
