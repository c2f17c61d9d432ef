using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using RenderTrust.A2A;
using RenderTrust.Cli.Commands;
using RenderTrust.Cli.Output;
using RenderTrust.Cli.Platform;
using RenderTrust.Client;
using RenderTrust.Client.Jobs;
using RenderTrust.Contracts;
using RenderTrust.Sealing;
using Spectre.Console;

namespace RenderTrust.Cli.Demo;

/// <summary>The six steps of the demo, in order; <see cref="Step"/> says which one a failure belongs to.</summary>
internal sealed class DemoRun(CliContext context, DemoSettings settings)
{
    // Thirty times what a frame takes on a machine that has nothing else to do.
    private const int MaxUnitDeviceSeconds = 180;
    private const long TopUpMicrocredits = 50 * Pricing.MicrocreditsPerCredit;

    /// <summary>
    /// Both half a minute by default: after this, what a restarted node does not name is leased anew, and so is what a killed scheduler was just
    /// about to lease. Each kill follows a finished unit, which is when the next one is leased, so that there mostly is such a unit.
    /// </summary>
    private static readonly Dictionary<string, string> ChaosSettings = new() { ["Scheduler__MissingAttemptGraceSeconds"] = "2", ["Scheduler__ClaimSeconds"] = "5" };

    private readonly PlatformPaths paths = new(context.RepositoryRoot, "demo");
    private readonly Dictionary<int, FetchedOutput> opened = [];
    private LocalPlatform? platform;

    public string Step { get; private set; } = "Preparing";

    public string LogFolder => paths.Logs;

    public DemoResult Partial { get; private set; } = new();

    public async Task<DemoResult> RunAsync(CancellationToken cancellationToken)
    {
        if (settings.Frames is < 1 or > 1000)
        {
            throw new CliException($"--frames is {settings.Frames}. The demo takes 1 to 1000.", exitCode: 2);
        }

        if (settings.Chaos && settings.Frames < ChaosScript.FewestFrames)
        {
            throw new CliException($"--frames is {settings.Frames}. With --chaos it takes at least {ChaosScript.FewestFrames}, so that there is still work at the last kill.", exitCode: 2);
        }

        // Before anything is started: a wrong path should not cost a minute.
        var (scenePath, asset) = SceneFiles.Collect(settings.Scene);
        await ClearAsync(cancellationToken);
        await StartPlatformAsync(cancellationToken);
        Step = "1/6 Creating a creator and topping up credits";
        using var creator = await Profiles.OpenOrSignUpAsync(Path.Combine(paths.Profiles, "creator"), platform!.GatewayUrl, "Demo creator", cancellationToken);
        var balance = (await creator.Credits.TopUpAsync(Guid.CreateVersion7(), TopUpMicrocredits, cancellationToken)).Balance;
        Done($"Creator {creator.Profile.Facts.TenantId} has keys. Available {Tables.Credits(balance.AvailableMicrocredits)}, Reserved {Tables.Credits(balance.ReservedMicrocredits)}");

        Step = "2/6 Enrolling an edge node";
        var fleet = new LocalFleet(platform);
        var module = await WorkingAsync("Building and publishing the povray module", () => fleet.PublishPovrayAsync(cancellationToken));
        await WorkingAsync("Enrolling the node with a one-time token", () => StartNodeAsync(fleet, cancellationToken));
        var node = (await WorkingAsync("Waiting for the node's stream", () => fleet.WaitForNodesAsync(1, cancellationToken)))[0];
        Partial = Partial with { Module = module.Reference, Node = node.Name, Runner = node.Capabilities?.Runner ?? "", Sidecar = platform.SidecarKind };
        Done($"{node.Name} is online: runner {node.Capabilities?.Runner}, {node.Capabilities?.Slots} slots, limits {(node.Capabilities?.LimitsEnforced == true ? "enforced" : "not enforced")}");
        if (node.Capabilities?.Runner == "process")
        {
            context.Console.MarkupLine("[bold red]  Warning: this machine has no container engine and no sandbox. Modules run as plain processes, which only Development allows.[/]");
        }

        foreach (var line in RunnerLines())
        {
            context.Console.MarkupLineInterpolated($"  [grey]{line}[/]");
        }

        Step = "3/6 Sealing and submitting";
        var markers = Enumerable.Range(1, 3).Select(number => $"RT-MARKER-{number}-{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(10))}").ToList();
        var draft = Draft(module, scenePath, asset, markers);
        var summary = await RenderAsync(creator, draft, fleet, cancellationToken);

        Step = "5/6 Opening the frames";
        var contactSheet = await WriteContactSheetAsync(creator, summary, cancellationToken);
        Done($"{opened.Count} frames opened and their hashes checked; contact sheet {contactSheet}");

        Step = "6/6 Checking books and stores";
        return await ProveAsync(creator, summary.JobId, markers, cancellationToken);
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        if (platform is not null)
        {
            await platform.StopAsync(cancellationToken);
        }
    }

    private async Task ClearAsync(CancellationToken cancellationToken)
    {
        Step = "Clearing the last demo";
        await LocalPlatform.RemoveAsync(paths, cancellationToken);
        paths.CreateFolders();
        if (Directory.Exists(settings.OutputFolder))
        {
            foreach (var file in Directory.EnumerateFiles(settings.OutputFolder, "frame_*.png").Append(Path.Combine(settings.OutputFolder, "contact-sheet.png")))
            {
                File.Delete(file);
            }
        }
    }

    private async Task StartPlatformAsync(CancellationToken cancellationToken)
    {
        Step = "Starting the platform";
        platform = await LocalPlatform.OpenAsync(
            paths, new PlatformOptions(settings.Ports, [], "auto", null, "Development", settings.Chaos ? ChaosSettings : null, Components: settings.Components),
            cancellationToken);
        var watch = Stopwatch.StartNew();
        await WorkingAsync($"Starting Postgres, {platform.Broker.Name} and the module registry", () => platform.StartStoresAsync(cancellationToken));
        await WorkingAsync("Starting gateway, scheduler, ledger, identity and catalog behind their sidecars", () => platform.StartServicesAsync(cancellationToken));
        Done($"The platform runs ({platform.SidecarKind} sidecar, {watch.Elapsed.TotalSeconds:0.0} s): {platform.GatewayUrl}");
    }

    /// <summary>Our scene with markers in a comment, in a parameter and in a file name: what must not be found anywhere on the platform.</summary>
    private JobDraft Draft(ModuleVersion module, string scenePath, DraftAsset asset, List<string> markers)
    {
        var extra = new AssetSource($"notes/{markers[2]}.txt", _ => Task.FromResult<Stream>(new MemoryStream(Encoding.UTF8.GetBytes($"{markers[0]} {markers[1]}"))));
        var files = asset.Files.Select(file => file.Path == scenePath ? file with { OpenAsync = token => WithCommentAsync(file, markers[0], token) } : file).Append(extra).ToList();
        return new JobDraft
        {
            Module = module.Reference,
            Parameters = JsonSerializer.SerializeToElement(new { scene = scenePath, widthPixels = 640, heightPixels = 360, note = $"for the demo: {markers[1]}" }),
            Units = [.. Enumerable.Range(0, settings.Frames).Select(frame => JsonSerializer.SerializeToElement(new { frame, clock = (double)frame / settings.Frames }))],
            Assets = [asset with { Files = files }],
            MaxUnitDeviceSeconds = MaxUnitDeviceSeconds,
            CapMicrocredits = Pricing.WorstCase(settings.Frames, MaxUnitDeviceSeconds, module.RatePerMinuteMicrocredits),
            DeadlineSeconds = 3600,
        };
    }

    private static async Task<Stream> WithCommentAsync(AssetSource file, string marker, CancellationToken cancellationToken)
    {
        await using var original = await file.OpenAsync(cancellationToken);
        var changed = new MemoryStream();
        await original.CopyToAsync(changed, cancellationToken);
        changed.Write(Encoding.UTF8.GetBytes($"\n// {marker}\n"));
        changed.Position = 0;
        return changed;
    }

    private Task StartNodeAsync(LocalFleet fleet, CancellationToken cancellationToken) => fleet.StartNodeAsync(
        1, settings.Runner, Math.Clamp(Environment.ProcessorCount, 1, settings.Chaos ? ChaosScript.MostSlots : 8), allowPlainProcess: true, cancellationToken);

    private async Task<JobSummary> RenderAsync(RenderTrustClient creator, JobDraft draft, LocalFleet fleet, CancellationToken cancellationToken)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var script = settings.Chaos ? new ChaosScript(context, platform!, token => StartNodeAsync(fleet, token), draft.Units.Count) : null;
        var updates = creator.Jobs.SubmitAndWatchAsync(draft, new Progress<SubmitProgress>(), stop.Token);
        context.Console.MarkupLineInterpolated($"[green]✓[/] Sealed {draft.Assets.Sum(asset => asset.Files.Count)} files for the creator's own key and every verified node key; submitting job {draft.JobId} over A2A");
        Step = "4/6 Rendering";
        var following = Follow.RunAsync(context, updates, draft.Units.Count, json: false, async update =>
        {
            script?.Saw(update);

            // With chaos the frames are fetched afterwards: a download that meets a dead gateway must not hold up the watching.
            if (script is null && update is { Kind: JobUpdateKind.UnitCompleted, UnitIndex: { } unit })
            {
                foreach (var file in await creator.Jobs.FetchUnitAsync(draft.JobId, unit, update.Outputs, settings.OutputFolder, cancellationToken))
                {
                    opened[unit] = file;
                }
            }
        });
        if (script is not null)
        {
            await KillWhileAsync(script, following, stop);
        }

        var last = await following;
        var summary = await creator.Jobs.GetSummaryAsync(draft.JobId, cancellationToken);
        Partial = Partial with { Units = summary.UnitCount, Frames = settings.Frames, Attempts = summary.Units.Sum(unit => unit.Attempts.Count) };
        if (last?.State != TaskState.Completed)
        {
            var failed = summary.Units.SelectMany(unit => unit.Attempts).LastOrDefault(attempt => attempt.FailureClass is not null);
            throw new CliException(
                $"The job ended as {last?.State}: {summary.Reason ?? last?.Reason}{(failed is null ? "" : $" (unit failure: {failed.FailureClass}: {failed.Reason})")}", paths.Log("node-1"));
        }

        Done($"{summary.UnitsCompleted} of {summary.UnitCount} units rendered on {string.Join(", ", summary.Units.SelectMany(unit => unit.Attempts).Select(attempt => attempt.NodeName).Distinct())}");
        return summary;
    }

    /// <summary>A script that fails leaves a platform that finishes nothing, so that the watching ends with it.</summary>
    private async Task KillWhileAsync(ChaosScript script, Task following, CancellationTokenSource stop)
    {
        var killing = script.RunAsync(stop.Token);
        try
        {
            await await Task.WhenAny(following, killing);
            await killing;
        }
        catch
        {
            await stop.CancelAsync();
            await following.ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
            throw;
        }
        finally
        {
            Partial = Partial with { Kills = script.Kills };
        }
    }

    private async Task<string> WriteContactSheetAsync(RenderTrustClient creator, JobSummary summary, CancellationToken cancellationToken)
    {
        // What the stream did not bring (it may have been taken up again after a break) is fetched now.
        if (opened.Count < summary.UnitCount)
        {
            await foreach (var file in creator.Jobs.FetchAsync(summary.JobId, settings.OutputFolder, cancellationToken))
            {
                opened[file.UnitIndex] = file;
            }
        }

        Partial = Partial with { FramesOpened = opened.Count, HashesMatch = opened.Count == summary.UnitCount };
        var sheet = Path.Combine(settings.OutputFolder, "contact-sheet.png");
        ContactSheet.Write(
            sheet, $"{Path.GetFileNameWithoutExtension(settings.Scene)} · {opened.Count} frames · {summary.Module}",
            [.. opened.OrderBy(pair => pair.Key).Select(pair => (Path.GetFileName(pair.Value.FileName), pair.Value.FileName))]);
        return sheet;
    }

    private async Task<DemoResult> ProveAsync(RenderTrustClient creator, JobId jobId, List<string> markers, CancellationToken cancellationToken)
    {
        var summary = await WorkingAsync("Waiting until every charge is posted", () => WaitUntilPostedAsync(creator, jobId, cancellationToken));
        var books = await Books.ReadAsync(platform!.Postgres.AdminOnDatabase, cancellationToken);
        var audit = await WorkingAsync("Searching every store for plaintext", () => new PlaintextAudit(platform).RunAsync(markers, cancellationToken));
        JobReport.Write(context.Console, summary);
        var balance = await creator.Credits.GetBalanceAsync(cancellationToken);
        var submitMs = JobReport.P95(summary, "submit");
        var dispatchMs = JobReport.P95(summary, "dispatch");
        var returnMs = JobReport.P95(summary, "return");
        var ledgerMs = JobReport.P95(summary, "ledgerHandover");
        var problems = new List<string>();
        void Require(bool holds, string problem)
        {
            if (!holds)
            {
                problems.Add(problem);
            }
        }

        Require(books.Balanced, $"the ledger's entries sum to {books.TotalMicrocredits} and {books.UnbalancedTransfers} transfers are unbalanced");
        Require(audit.Hits.Count == 0, $"plaintext was found: {string.Join("; ", audit.Hits.Take(5))}");
        Require(audit.ControlFound, $"the search missed planted leaks: {string.Join("; ", audit.MissedControls)}");
        Require(summary.Money.HoldClosed && summary.Money.HeldMicrocredits == summary.Money.ChargedMicrocredits + summary.Money.ReleasedMicrocredits, "held is not charged + released");
        Require(summary.Money.ChargedMicrocredits == summary.Money.NodeEarnedMicrocredits + summary.Money.DeveloperEarnedMicrocredits + summary.Money.PlatformEarnedMicrocredits, "the shares do not sum to the charge");
        Require(balance.ReservedMicrocredits == 0 && balance.AvailableMicrocredits == TopUpMicrocredits - summary.Money.ChargedMicrocredits, $"the creator's balance is {balance}");
        if (settings.Chaos)
        {
            var charges = await Books.ReadChargesAsync(platform.Postgres.AdminOnDatabase, jobId, cancellationToken);
            var chargedOnce = charges.AreOnce(summary.UnitCount, summary.Money.ChargedMicrocredits);
            Partial = Partial with { ChargedOnce = chargedOnce };
            Require(Partial.Kills == ChaosScript.PlannedKills, $"{Partial.Kills} of {ChaosScript.PlannedKills} kills happened");
            Require(chargedOnce, $"the job's charges are not one for each unit: {charges}");
            Done($"{Partial.Kills} kills, {Partial.Attempts} attempts; {charges.Units} units charged once each, {Tables.Credits(charges.PaidMicrocredits)} paid");
        }

        Require(opened.Count == summary.UnitCount, $"{opened.Count} of {summary.UnitCount} frames were opened");
        Require(summary.Timings.Select(timing => timing.Name).Distinct().Count() >= 4, $"not all latencies were measured: {string.Join(", ", summary.Timings.Select(timing => timing.Name))}");
        context.Console.Write(Tables.Facts(
            ("ledger, summed again from entries", $"{books.TotalMicrocredits} over {books.Entries} entries; {books.UnbalancedTransfers} unbalanced transfers"),
            ("creator", $"Available {Tables.Credits(balance.AvailableMicrocredits)}, Reserved {Tables.Credits(balance.ReservedMicrocredits)}"),
            ("control plane p95", $"{submitMs + dispatchMs + returnMs + ledgerMs:0.0} ms (limit 215)"),
            ("plaintext", $"{audit.Hits.Count} hits in {audit.Places} places, {audit.SearchedBytes / 1_000_000.0:0.0} MB; planted controls {(audit.ControlFound ? "all found" : "MISSED")}")));
        Partial = Partial with
        {
            HeldMicrocredits = summary.Money.HeldMicrocredits,
            ChargedMicrocredits = summary.Money.ChargedMicrocredits,
            ReleasedMicrocredits = summary.Money.ReleasedMicrocredits,
            NodeEarnedMicrocredits = summary.Money.NodeEarnedMicrocredits,
            DeveloperEarnedMicrocredits = summary.Money.DeveloperEarnedMicrocredits,
            PlatformEarnedMicrocredits = summary.Money.PlatformEarnedMicrocredits,
            LedgerSumMicrocredits = books.TotalMicrocredits,
            PlaintextHits = audit.Hits.Count,
            PlaintextControlFound = audit.ControlFound,
            SubmitMs = Math.Round(submitMs, 2),
            DispatchMs = Math.Round(dispatchMs, 2),
            ReturnMs = Math.Round(returnMs, 2),
            LedgerMs = Math.Round(ledgerMs, 2),
            ControlPlaneMs = Math.Round(submitMs + dispatchMs + returnMs + ledgerMs, 2),
        };
        if (problems.Count > 0)
        {
            throw new CliException(string.Join("; ", problems), paths.Logs);
        }

        return Partial with { Ok = true };
    }

    /// <summary>Posting runs behind the request path: wait until nothing of the creator is reserved any more and the latencies have been handed in.</summary>
    private static async Task<JobSummary> WaitUntilPostedAsync(RenderTrustClient creator, JobId jobId, CancellationToken cancellationToken)
    {
        var watch = Stopwatch.StartNew();
        while (true)
        {
            var balance = await creator.Credits.GetBalanceAsync(cancellationToken);
            var summary = await creator.Jobs.GetSummaryAsync(jobId, cancellationToken);
            if ((balance.ReservedMicrocredits == 0 && summary.Money.HoldClosed && summary.Timings.Select(timing => timing.Name).Distinct().Count() >= 4) || watch.Elapsed > TimeSpan.FromSeconds(15))
            {
                return summary;
            }

            await Task.Delay(100, cancellationToken);
        }
    }

    /// <summary>What the agent says of its runner: which it took and why no stronger one.</summary>
    private IEnumerable<string> RunnerLines()
    {
        foreach (var line in ManagedProcess.Tail(paths.Log("node-1"), 60).Split('\n'))
        {
            if (!line.Contains("unner", StringComparison.Ordinal))
            {
                continue;
            }

            var text = line;
            if (line.StartsWith('{'))
            {
                try
                {
                    text = JsonNode.Parse(line)?["Message"]?.GetValue<string>() ?? line;
                }
                catch (JsonException)
                {
                    // A line that was cut off at the beginning of the tail; it is shown as it is.
                }
            }

            yield return text.Trim();
        }
    }

    private void Done(string text) => context.Console.MarkupLineInterpolated($"[green]✓[/] {text}");

    private Task WorkingAsync(string text, Func<Task> work) => context.Console.Status().StartAsync(Markup.Escape(text), _ => work());

    private Task<T> WorkingAsync<T>(string text, Func<Task<T>> work) => context.Console.Status().StartAsync(Markup.Escape(text), _ => work());
}
