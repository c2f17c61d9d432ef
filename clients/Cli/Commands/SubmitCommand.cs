using System.CommandLine;
using System.Text.Json;
using RenderTrust.Cli.Output;
using RenderTrust.Cli.Platform;
using RenderTrust.Client;
using RenderTrust.Client.Jobs;
using RenderTrust.Contracts;
using Spectre.Console;

namespace RenderTrust.Cli.Commands;

/// <summary>Seals a scene and submits it.</summary>
internal static class SubmitCommand
{
    private const int MostCredits = 1_000_000;

    public static Command Create(CliContext context)
    {
        var scene = new Argument<string>("scene") { Description = "A .pov file; files beside it that it names travel with it." };
        var frames = new Option<int>("--frames") { Description = "Frames over one turn of the clock; each is a unit.", DefaultValueFactory = _ => 1 };
        var width = new Option<int>("--width") { Description = "Pixels.", DefaultValueFactory = _ => 640 };
        var height = new Option<int>("--height") { Description = "Pixels.", DefaultValueFactory = _ => 360 };
        var module = new Option<string?>("--module") { Description = "Name@version; default: the newest povray." };
        var seconds = new Option<int>("--max-unit-seconds") { Description = "Most device seconds that a frame may take and cost.", DefaultValueFactory = _ => 120 };
        var cap = new Option<decimal?>("--cap") { Description = "Most credits for the whole job; default: the worst case of frames x seconds x rate." };
        var overflow = new Option<bool>("--overflow")
        {
            Description = "Let frames that fail on two nodes run on agents that the platform starts itself. The job is then sealed to the platform's overflow pool too: "
                + "machines of the platform can open it. Price and cap stay the same.",
        };
        var watch = new Option<bool>("--watch") { Description = "Follow the job to its end." };
        var command = new Command("submit", "Seal a scene and submit it; prints the job id.") { scene, frames, width, height, module, seconds, cap, overflow, watch, CreatorOptions.Profile, CreatorOptions.Json };
        command.SetAction(async (parsed, cancellationToken) =>
        {
            using var client = CreatorOptions.Open(context, parsed);
            using var trace = CommandTrace.Begin("submit");
            var draft = await DraftAsync(
                client, parsed.GetValue(module), parsed.GetValue(scene)!, parsed.GetValue(frames), parsed.GetValue(width), parsed.GetValue(height), parsed.GetValue(seconds), parsed.GetValue(cap), cancellationToken);
            draft = draft with { AllowOverflow = parsed.GetValue(overflow) };
            if (parsed.GetValue(watch))
            {
                context.Console.MarkupLineInterpolated($"Job {draft.JobId}");
                var last = await Follow.RunAsync(context, client.Jobs.SubmitAndWatchAsync(draft, null, cancellationToken), draft.Units.Count, parsed.GetValue(CreatorOptions.Json));
                await trace.SendAsync(context, client, draft.JobId, cancellationToken);
                return Follow.ExitCode(last);
            }

            var job = await client.Jobs.SubmitAsync(draft, null, cancellationToken);
            await trace.SendAsync(context, client, draft.JobId, cancellationToken);
            if (parsed.GetValue(CreatorOptions.Json))
            {
                CliContext.WriteJson(new { jobId = job.JobId.ToString(), job.TaskId, job.UnitCount, job.ManifestSha256 });
            }
            else
            {
                context.Console.MarkupLineInterpolated($"Job {job.JobId} is accepted. [grey]rendertrust watch {job.JobId}[/]");
            }

            return 0;
        });
        return command;
    }

    /// <summary>A storyboard: <paramref name="frames"/> units whose clock goes once around.</summary>
    public static async Task<JobDraft> DraftAsync(
        RenderTrustClient client, string? module, string scene, int frames, int width, int height, int maxUnitSeconds, decimal? capCredits, CancellationToken cancellationToken)
    {
        if (frames is < 1 or > 100_000)
        {
            throw new CliException($"--frames is {frames}. A job takes 1 to 100000.", exitCode: 2);
        }

        if (width is < 1 or > 16_384 || height is < 1 or > 16_384)
        {
            throw new CliException($"--width is {width} and --height is {height}. A frame takes 1 to 16384 pixels each way.", exitCode: 2);
        }

        if (maxUnitSeconds is < 1 or > 86_400)
        {
            throw new CliException($"--max-unit-seconds is {maxUnitSeconds}. A frame may take 1 to 86400 device seconds.", exitCode: 2);
        }

        if (capCredits is <= 0 or > MostCredits)
        {
            throw new CliException($"--cap is {capCredits}. Give a number of credits above 0, up to {MostCredits}; without it the worst case is the cap.", exitCode: 2);
        }

        var (path, asset) = SceneFiles.Collect(scene);
        var version = module is null
            ? (await client.Modules.ListAsync(cancellationToken)).Modules.FirstOrDefault(candidate => candidate.Name == PovrayModule.Name)
                ?? throw new CliException("This platform has no module 'povray'. A developer publishes it with: rendertrust module publish")
            : await client.Modules.GetAsync(module, cancellationToken);
        var worst = Pricing.WorstCase(frames, maxUnitSeconds, version.RatePerMinuteMicrocredits);
        return new JobDraft
        {
            Module = version.Reference,
            Parameters = JsonSerializer.SerializeToElement(new { scene = path, widthPixels = width, heightPixels = height }),
            Units = [.. Enumerable.Range(0, frames).Select(frame => JsonSerializer.SerializeToElement(new { frame, clock = (double)frame / frames }))],
            Assets = [asset],
            MaxUnitDeviceSeconds = maxUnitSeconds,
            CapMicrocredits = capCredits is { } credits ? (long)(credits * Pricing.MicrocreditsPerCredit) : worst,
        };
    }
}
