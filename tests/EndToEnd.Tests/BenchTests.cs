using System.Text.Json;
using RenderTrust.EndToEnd.Tests.Platform;

namespace RenderTrust.EndToEnd.Tests;

/// <summary>Benchmarks and load as their user starts them. What they measure depends on the machine and is judged nowhere here.</summary>
public sealed class BenchTests
{
    [Fact]
    public async Task A_benchmark_tells_its_figure_beside_a_peer_and_leaves_nothing_running()
    {
        var folder = Directory.CreateTempSubdirectory("e2e-bench-").FullName;
        try
        {
            var file = Path.Combine(folder, "bench.json");

            var run = await RunAsync("bench", "hold", "--json", file);

            // 1 says that a target was missed, as a busy machine may.
            Assert.True(run.ExitCode is 0 or 1, run.ToString());
            var figures = JsonElement.Parse(await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken)).EnumerateArray().ToList();
            Assert.Equal(2, figures.Count);
            Assert.All(figures, figure =>
            {
                Assert.Equal(["name", "value", "unit", "better", "peer", "peerValue", "ratio", "target", "ok"], figure.EnumerateObject().Select(member => member.Name));
                Assert.Equal("hold", figure.GetProperty("name").GetString());
                Assert.True(figure.GetProperty("value").GetDouble() > 0);
                Assert.True(figure.GetProperty("peerValue").GetDouble() > 0);
            });
            Assert.Equal(run.ExitCode == 0, figures.TrueForAll(figure => figure.GetProperty("ok").GetBoolean()));
            Assert.False(Directory.Exists(FolderOf("bench")), "The platform's data are still there.");
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task Load_settles_every_job_on_simulated_nodes_and_writes_its_reports()
    {
        var folder = Directory.CreateTempSubdirectory("e2e-load-").FullName;
        try
        {
            var run = await RunAsync("load", "--rate", "2", "--seconds", "5", "--warm-up", "0", "--nodes", "12", "--recipients", "3", "--out", folder);

            Assert.True(run.ExitCode is 0 or 1, run.ToString());
            Assert.Contains("10 jobs settled, 0 did not", run.Output, StringComparison.Ordinal);
            foreach (var report in new[] { "jobs.html", "jobs.md", "platform.html", "platform.md" })
            {
                Assert.Contains("submit", await File.ReadAllTextAsync(Path.Combine(folder, report), TestContext.Current.CancellationToken), StringComparison.Ordinal);
            }

            Assert.False(Directory.Exists(FolderOf("load")), "The platform's data are still there.");
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [Fact]
    public async Task An_unknown_benchmark_is_refused_with_the_names_that_there_are()
    {
        var run = await RunAsync("bench", "everything");

        Assert.Equal(2, run.ExitCode);
        Assert.Contains("a2aGetTask", run.ToString(), StringComparison.Ordinal);
    }

    private static Task<ProgramResult> RunAsync(params string[] arguments) => Programs.DotnetAsync(
        [Repository.Cli, .. arguments], new Dictionary<string, string> { ["RENDERTRUST_ROOT"] = Repository.Root }, TimeSpan.FromMinutes(6), TestContext.Current.CancellationToken);

    private static string FolderOf(string instance) => Path.Combine(Repository.Root, ".rendertrust", instance);
}
