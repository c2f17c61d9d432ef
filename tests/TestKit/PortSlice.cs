namespace RenderTrust.TestKit;

/// <summary>
/// A run of ports that is this process's alone for as long as it lives: test suites of several people on one machine would otherwise pick the same free port
/// between one's look at it and its server's start. The claim is a lock on a file, which ends with the process however that ends.
/// </summary>
public sealed class PortSlice : IDisposable
{
    /// <summary>Below the kernel's own range (32768 up), where an outgoing connection of another test could take a port before its server does.</summary>
    private const int First = 12_000;
    private const int Last = 32_000;
    private const int Size = 100;
    private const int Count = (Last - First) / Size;

    private readonly FileStream claim;

    private PortSlice(FileStream claim, int from) => (this.claim, Ports) = (claim, [.. Enumerable.Range(from, Size)]);

    public IReadOnlyList<int> Ports { get; }

    public static PortSlice Claim() => Claim(Random.Shared.Next(Count));

    /// <param name="start">The slice to begin with, from 0; the first of it and its followers that nobody has is taken.</param>
    public static PortSlice Claim(int start)
    {
        var folder = Directory.CreateDirectory(Path.Combine(Path.GetTempPath(), "rendertrust-test-ports")).FullName;
        for (var n = 0; n < Count; n++)
        {
            var from = First + (Size * ((start + n) % Count));
            try
            {
                // Read access is enough for the lock, also on a file that another user has made.
                return new PortSlice(new FileStream(Path.Combine(folder, $"{from}"), FileMode.OpenOrCreate, FileAccess.Read, FileShare.None), from);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // Another process has this one.
            }
        }

        throw new InvalidOperationException($"All {Count} slices of {Size} ports from {First} to {Last} are claimed in {folder}. End test runs that nobody waits for (fuser {folder}/*).");
    }

    public void Dispose() => claim.Dispose();
}
