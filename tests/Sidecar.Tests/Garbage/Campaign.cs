namespace RenderTrust.Sidecar.Tests.Garbage;

/// <summary>How much, and which choices: <c>RENDERTRUST_LONG=1</c> takes the long form, <c>RENDERTRUST_SEED</c> repeats a run's choices.</summary>
internal static class Campaign
{
    /// <summary>After which a call, or a look at a file, counts as hung; far above what a busy machine needs.</summary>
    public static readonly TimeSpan HangLimit = TimeSpan.FromSeconds(60);

    public static bool IsLong { get; } = Environment.GetEnvironmentVariable("RENDERTRUST_LONG") == "1";

    public static int Seed { get; } = int.TryParse(Environment.GetEnvironmentVariable("RENDERTRUST_SEED"), out var given) ? given : Random.Shared.Next();

    /// <summary>The same for the same place in the run, whatever ran before it.</summary>
    public static Random NewRandom(int batch, int n) => new(unchecked(Seed + (batch * 1_000_003) + n));

    public static string Count<T>(IEnumerable<T> answers) where T : notnull =>
        string.Join(", ", answers.GroupBy(answer => answer).OrderByDescending(group => group.Count()).Select(group => $"{group.Count()} {group.Key}"));
}
