using System.CommandLine;
using System.Diagnostics;
using RenderTrust.Cli.Commands;
using RenderTrust.Cli.Output;
using RenderTrust.Cli.Platform;
using Spectre.Console;

namespace RenderTrust.Cli.Demo;

/// <summary><c>demo</c>: a platform of its own, the main job once through it, and the proof. Ends by itself.</summary>
internal static class DemoCommand
{
    private const int DefaultFrames = 8;
    private const int ChaosFrames = 12;

    public static Command Create(CliContext context)
    {
        var scene = new Option<string?>("--scene") { Description = "Your own .pov file instead of our storyboard." };
        var frames = new Option<int?>("--frames") { Description = $"Frames to render; each is a unit. Default {DefaultFrames}, with --chaos {ChaosFrames}." };
        var output = new Option<string>("--out") { Description = "Folder for the frames and the contact sheet.", DefaultValueFactory = _ => Path.Combine(context.RepositoryRoot, "out") };
        var json = new Option<string?>("--json") { Description = "File to write the result to." };
        var runner = new Option<string>("--runner") { Description = "auto, docker, bubblewrap or process.", DefaultValueFactory = _ => "auto" };
        var components = PlatformCommands.ComponentsOption();
        var ports = new Option<string>("--ports") { Description = "'auto' takes free ports, 'fixed' the default ones.", DefaultValueFactory = _ => "auto" };
        var keep = new Option<bool>("--keep") { Description = "Leave the platform running afterwards, to look around." };
        var chaos = new Option<bool>("--chaos") { Description = "Kill the rendering node, the scheduler and the sidecar host while the job runs." };
        var command = new Command("demo", "The main job, end to end, on this machine: sealed scene in, opened frames out, books checked.") { scene, frames, output, json, runner, components, ports, keep, chaos };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            PlatformCommands.CheckRunner(parsed.GetValue(runner)!);
            var file = OutputFiles.Prepare("--json", parsed.GetValue(json));
            var watch = Stopwatch.StartNew();
            var settings = new DemoSettings(
                parsed.GetValue(scene) ?? Path.Combine(context.RepositoryRoot, "edge/modules/povray/examples/storyboard/storyboard.pov"),
                parsed.GetValue(frames) ?? (parsed.GetValue(chaos) ? ChaosFrames : DefaultFrames), parsed.GetValue(output)!, parsed.GetValue(runner)!, parsed.GetValue(ports)!,
                parsed.GetValue(chaos), parsed.GetValue(components));
            var demo = new DemoRun(context, settings);
            DemoResult result;
            try
            {
                result = await demo.RunAsync(cancellationToken);
            }
            // Whatever it was: a demo that fails says at which step, where its log is and what to do.
            catch (Exception exception) when (exception is not (OperationCanceledException or CliException { ExitCode: 2 }))
            {
                context.Console.MarkupLineInterpolated($"[red]✗ {demo.Step} failed:[/] {exception.Message}");
                context.Console.MarkupLineInterpolated($"  [grey]log:[/] {(exception as CliException)?.LogPath ?? demo.LogFolder}");
                context.Console.MarkupLine("  [grey]what to do:[/] read the log above; [bold]./rendertrust demo[/] starts again from a clean state; [bold]./rendertrust setup[/] installs what is missing.");
                result = demo.Partial with { Ok = false, Error = $"{demo.Step}: {exception.Message}" };
            }
            finally
            {
                if (!parsed.GetValue(keep))
                {
                    // Not the command's token: the demo leaves nothing running, also after Ctrl+C.
                    using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(40));
                    await demo.StopAsync(patience.Token);
                }
            }

            result = result with { TotalSeconds = Math.Round(watch.Elapsed.TotalSeconds, 1) };
            if (file is not null)
            {
                await File.WriteAllTextAsync(file, CliContext.ToJson(result) + "\n", CancellationToken.None);
            }

            context.Console.MarkupLineInterpolated($"{(result.Ok ? "Done" : "Not done")} in {result.TotalSeconds:0.0} s.{(result.Ok ? $" Frames and contact sheet: {Path.GetFullPath(settings.OutputFolder)}" : "")}");
            return result.Ok ? 0 : 1;
        });
        return command;
    }
}

/// <param name="Scene">Path of the .pov file.</param>
/// <param name="Chaos">Kill parts of the platform while the job runs.</param>
/// <param name="Components">The broker; null is Redis.</param>
internal sealed record DemoSettings(string Scene, int Frames, string OutputFolder, string Runner, string Ports, bool Chaos, string? Components);
