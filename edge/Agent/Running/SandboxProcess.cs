using System.Diagnostics;

namespace RenderTrust.Agent.Running;

/// <summary>Waits for one local process under a wall limit and an output limit, and sees to it that it is dead afterwards.</summary>
internal static class SandboxProcess
{
    private static readonly TimeSpan OutputCheckInterval = TimeSpan.FromMilliseconds(200);

    /// <param name="killAll">Kills what the process tree alone would miss.</param>
    public static async Task<(UnitExit? Forced, int ExitCode, long Milliseconds)> WaitAsync(
        Process process, UnitRun run, ModuleLog log, TimeProvider time, Action killAll, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        var output = PumpAsync(process.StandardOutput.BaseStream, log);
        var errors = PumpAsync(process.StandardError.BaseStream, log);
        UnitExit? forced = null;
        using var ended = new CancellationTokenSource();
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using var wall = new CancellationTokenSource(run.Limits.Wall, time);
        await using var wallRegistration = wall.Token.Register(() =>
        {
            forced ??= UnitExit.TimedOut;
            limit.Cancel();
        });
        var watch = run.Output.SizeIsEnforced ? Task.CompletedTask : WatchOutputAsync(run, time, () =>
        {
            forced ??= UnitExit.OutputTooLarge;
            limit.Cancel();
        }, ended.Token);
        try
        {
            await process.WaitForExitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            // Killing goes on whatever happens to the caller's token: a survivor would hold memory and the slot.
            Kill(process);
            killAll();
            await process.WaitForExitAsync(CancellationToken.None);
            if (forced is null)
            {
                throw;
            }
        }
        finally
        {
            killAll();
            await ended.CancelAsync();
            await watch;
        }

        await Task.WhenAll(output, errors);
        return (forced, process.ExitCode, (long)time.GetElapsedTime(started).TotalMilliseconds);
    }

    public static long SizeOf(string folder) =>
        new DirectoryInfo(folder).EnumerateFiles("*", new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.ReparsePoint })
            .Sum(LengthOf);

    private static long LengthOf(FileInfo file)
    {
        try
        {
            return file.Length;
        }
        catch (FileNotFoundException)
        {
            // The module removed or renamed it between the listing and this look.
            return 0;
        }
    }

    /// <summary>A full output folder explains a failed write better than the module's exit code does.</summary>
    public static bool OutputIsFull(UnitRun run)
    {
        if (!run.Output.SizeIsEnforced)
        {
            // A file cut at its size limit ends exactly there.
            return SizeOf(run.Output.Path) >= run.Limits.OutputBytes;
        }

        // Less than a page free counts as full: the last write was cut there.
        return new DriveInfo(run.Output.Path).AvailableFreeSpace < 4096;
    }

    private static void Kill(Process process)
    {
        try
        {
            process.Kill(entireProcessTree: true);
        }
        catch (InvalidOperationException)
        {
            // It ended by itself in the meantime.
        }
    }

    private static async Task PumpAsync(Stream stream, ModuleLog log)
    {
        var buffer = new byte[8192];
        int read;
        while ((read = await stream.ReadAsync(buffer, CancellationToken.None)) > 0)
        {
            log.Append(buffer.AsSpan(0, read));
        }
    }

    private static async Task WatchOutputAsync(UnitRun run, TimeProvider time, Action tooLarge, CancellationToken ended)
    {
        try
        {
            while (!ended.IsCancellationRequested)
            {
                await Task.Delay(OutputCheckInterval, time, ended);
                if (SizeOf(run.Output.Path) > run.Limits.OutputBytes)
                {
                    tooLarge();
                    return;
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The process has ended: nothing left to watch.
        }
    }
}
