using System.Diagnostics;
using RenderTrust.Cli.Output;

namespace RenderTrust.Cli.Platform;

/// <summary>
/// The right to change which parts of a platform run. It ends with its process, so that nobody's death leaves it taken: a lock of the kernel on a byte of a file.
/// </summary>
internal sealed class PlatformTurn : IDisposable
{
    /// <summary>As long as a start on a busy machine may take.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(150);

    private readonly FileStream _file;

    private PlatformTurn(FileStream file) => _file = file;

    /// <summary>Whoever keeps a platform running has it for moments; whoever changes it, for as long as that takes.</summary>
    public static async Task<PlatformTurn> TakeAsync(PlatformPaths paths, CancellationToken cancellationToken)
    {
        var watch = Stopwatch.StartNew();
        while (true)
        {
            if (TryTake(paths) is { } turn)
            {
                return turn;
            }

            if (watch.Elapsed > Patience)
            {
                throw new CliException(
                    $"Another command (up, down or broker swap) has been changing the platform in {paths.Root} for {Patience.TotalSeconds:0} s. Try again when it has ended, or end it: the next up completes what it leaves.");
            }

            await Task.Delay(TimeSpan.FromMilliseconds(50), cancellationToken);
        }
    }

    /// <summary>Null while another process has it.</summary>
    public static PlatformTurn? TryTake(PlatformPaths paths)
    {
        FileStream? file = null;
        try
        {
            file = new FileStream(Path.Combine(paths.Root, "turn"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.ReadWrite);
            file.Lock(0, 1);
            return new PlatformTurn(file);
        }
        catch (IOException)
        {
            // Somebody has it, or takes the whole folder away at this moment.
            file?.Dispose();
            return null;
        }
    }

    public void Dispose() => _file.Dispose();
}
