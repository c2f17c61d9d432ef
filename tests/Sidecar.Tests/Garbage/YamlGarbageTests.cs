using System.Collections.Concurrent;
using System.Diagnostics;
using RenderTrust.Sidecar.Configuration;
using RenderTrust.Sidecar.Hosting;

namespace RenderTrust.Sidecar.Tests.Garbage;

/// <summary>
/// Whatever the user's files hold: the host starts, or ends with one line that names file, line and field. Hundreds of files, or thousands with
/// RENDERTRUST_LONG=1; RENDERTRUST_SEED repeats them.
/// </summary>
public sealed class YamlGarbageTests
{
    private const int AtOnce = 2;
    private const string Refused = "refused";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_bad_file_is_read_or_refused_with_its_place_and_never_ends_the_host_otherwise()
    {
        Console.WriteLine($"Garbage as files: RENDERTRUST_SEED={Campaign.Seed}");
        var count = Campaign.IsLong ? 4000 : 250;
        var (outcomes, wrong) = (new ConcurrentQueue<string>(), new ConcurrentQueue<string>());
        await Parallel.ForAsync(0, count, new ParallelOptions { MaxDegreeOfParallelism = AtOnce, CancellationToken = Token }, async (n, token) =>
        {
            using var folder = new YamlFolder(Campaign.NewRandom(1, n));
            var (outcome, complaint) = await TryAsync(folder, token);
            outcomes.Enqueue(outcome);
            if (complaint is not null)
            {
                wrong.Enqueue($"{n}, {folder.Bad}: {complaint}");
            }
        });

        Console.WriteLine($"Measured garbage as files: {count} folders, RENDERTRUST_SEED={Campaign.Seed}: {Campaign.Count(outcomes)}; {wrong.Count} wrong");
        Assert.True(wrong.IsEmpty, string.Join('\n', wrong.Take(40)));
    }

    [Fact]
    public async Task The_files_that_garbage_is_made_of_are_good()
    {
        using var folder = new YamlFolder(random: null);

        Assert.Equal(("started", null), await TryAsync(folder, Token));
    }

    [Fact]
    public async Task The_program_ends_with_code_2_and_one_line_about_a_file_it_cannot_use()
    {
        var wanted = Campaign.IsLong ? 100 : 4;
        var (seen, wrong) = (0, new List<string>());
        for (var n = 0; seen < wanted; n++)
        {
            using var folder = new YamlFolder(Campaign.NewRandom(2, n));
            if ((await TryAsync(folder, Token)).Outcome != Refused)
            {
                continue;
            }

            seen++;
            using var program = Process.Start(new ProcessStartInfo("dotnet", [typeof(SidecarHost).Assembly.Location, "run", "-f", folder.RunFile]) { RedirectStandardError = true, RedirectStandardOutput = true })!;
            var output = program.StandardOutput.ReadToEndAsync(Token);
            var error = await program.StandardError.ReadToEndAsync(Token);
            await program.WaitForExitAsync(Token);
            await output;
            if (program.ExitCode != 2 || error.TrimEnd().Contains('\n', StringComparison.Ordinal) || !error.StartsWith(folder.Root, StringComparison.Ordinal))
            {
                wrong.Add($"{n}, {folder.Bad}: exit code {program.ExitCode}: {error[..Math.Min(1000, error.Length)]}");
            }
        }

        Console.WriteLine($"Measured garbage as files of the program: {seen} refused, RENDERTRUST_SEED={Campaign.Seed}; {wrong.Count} wrong");
        Assert.True(wrong.Count == 0, string.Join('\n', wrong.Take(20)));
    }

    private static async Task<(string Outcome, string? Complaint)> TryAsync(YamlFolder folder, CancellationToken cancellationToken)
    {
        var options = new SidecarOptions { RunFile = folder.RunFile, LogLevel = Microsoft.Extensions.Logging.LogLevel.None };
        try
        {
            // On a thread of the pool's: a parser that never ends must not take the test's own.
            await using var host = await Task.Run(() => SidecarHost.StartAsync(options, TimeProvider.System, cancellationToken), cancellationToken).WaitAsync(Campaign.HangLimit, cancellationToken);
            return ("started", null);
        }
        catch (ConfigurationException e)
        {
            var isPlaced = e.Field.Length > 0 && (folder.Lines.TryGetValue(e.File, out var lines) ? e.Line >= 1 && e.Line <= lines + 1 : e.File.StartsWith(folder.Root, StringComparison.Ordinal));
            var isLine = e.Message.Length < 2000 && !e.Message.Any(char.IsControl);
            return (Refused, isPlaced && isLine ? null : $"line {e.Line}, field '{e.Field[..Math.Min(80, e.Field.Length)]}': {e.Message[..Math.Min(500, e.Message.Length)]}");
        }
        catch (Exception e) when (e is PortTakenException || e.InnerException is Microsoft.AspNetCore.Connections.AddressInUseException)
        {
            return ("port taken by another test", null);
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested)
        {
            return ("failed", $"{e}"[..Math.Min(900, $"{e}".Length)]);
        }
    }
}
