using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;

namespace RenderTrust.ServiceDefaults;

/// <summary>Answers about secrets, each believed for a moment.</summary>
public sealed class SecretCache<T>(TimeProvider time)
{
    private const int MaxAnswers = 10_000;

    // Keyed by hash: a memory dump of the cache must not be a list of secrets.
    private readonly ConcurrentDictionary<string, (T Answer, DateTimeOffset Until)> _answers = new(StringComparer.Ordinal);

    public bool TryGet(string secret, [MaybeNullWhen(false)] out T answer)
    {
        var isKnown = _answers.TryGetValue(KeyOf(secret), out var known) && known.Until > time.GetUtcNow();
        answer = known.Answer;
        return isKnown;
    }

    public void Set(string secret, T answer, TimeSpan believedFor)
    {
        if (_answers.Count >= MaxAnswers)
        {
            // Only someone who tries secrets gets here; starting over costs honest callers one look-up each.
            _answers.Clear();
        }

        _answers[KeyOf(secret)] = (answer, time.GetUtcNow() + believedFor);
    }

    public void Forget(string secret) => _answers.TryRemove(KeyOf(secret), out _);

    private static string KeyOf(string secret) => Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(secret)));
}
