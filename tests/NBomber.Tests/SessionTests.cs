using NBomber.Contracts;
using NBomber.Contracts.Stats;
using NBomber.CSharp;

namespace RenderTrust.NBomber.Tests;

/// <summary>Sessions as users write them.</summary>
public sealed class SessionTests
{
    private static readonly TimeSpan Second = TimeSpan.FromSeconds(1);

    [Fact]
    public void Every_iteration_of_a_counted_simulation_runs_once()
    {
        var ran = 0;
        var scenario = Scenario.Create("counted", _ =>
        {
            Interlocked.Increment(ref ran);
            return Task.FromResult<IResponse>(Response.Ok(statusCode: "200", sizeBytes: 100));
        }).WithoutWarmUp().WithLoadSimulations(Simulation.IterationsForConstant(copies: 3, iterations: 50));

        var stats = Run(scenario).ScenarioStats.Get("counted");

        Assert.Equal(50, ran);
        Assert.Equal((50, 0), (stats.Ok.Request.Count, stats.Fail.Request.Count));
        Assert.Equal(100, stats.Ok.Request.Percent);
        Assert.Equal(50, stats.Ok.StatusCodes.Get("200").Count);
        Assert.True(stats.AllBytes <= 5_000, "A latency of nothing carries no bytes; others carry a hundred.");
    }

    [Fact]
    public void An_open_rate_releases_exactly_as_many_copies_however_long_they_take()
    {
        var scenario = Scenario.Create("open", async _ =>
        {
            await Task.Delay(1500);
            return Response.Ok();
        }).WithoutWarmUp().WithLoadSimulations(Simulation.Inject(rate: 10, interval: Second, during: 2 * Second));

        var stats = Run(scenario).ScenarioStats.Get("open");

        Assert.Equal(20, stats.Ok.Request.Count);
        Assert.True(stats.Ok.Latency.MinMs >= 1400, $"least: {stats.Ok.Latency.MinMs} ms");
        Assert.Equal(20, stats.Ok.Latency.LatencyCount.MoreOrEq1200);
        Assert.Equal("inject", stats.LoadSimulationStats.SimulationName);
    }

    [Fact]
    public void A_failed_step_ends_its_iteration_unless_told_otherwise()
    {
        var (stops, goesOn) = (StepsOf(restarts: true), StepsOf(restarts: false));

        Assert.Equal((0, 4), (stops.Ok.Request.Count, stops.Fail.Request.Count));
        Assert.Equal(4, stops.StepStats.Get("first").Fail.Request.Count);
        Assert.False(stops.StepStats.Exists("second"));
        Assert.Equal(4, goesOn.Ok.Request.Count);
        Assert.Equal(4, goesOn.StepStats.Get("second").Ok.Request.Count);
        Assert.Equal("no", goesOn.Fail.StatusCodes.Get("503").Message);
    }

    [Fact]
    public void Exceptions_are_failures_with_codes_of_their_own()
    {
        var number = 0;
        var scenario = Scenario.Create("thrown", _ => Interlocked.Increment(ref number) % 2 == 0
            ? throw new InvalidOperationException("broken")
            : throw new OperationCanceledException()).WithoutWarmUp().WithLoadSimulations(Simulation.IterationsForConstant(copies: 1, iterations: 4));

        var stats = Run(scenario).ScenarioStats.Get("thrown");

        Assert.Equal(4, stats.Fail.Request.Count);
        Assert.Equal(("broken", 2), (stats.Fail.StatusCodes.Get("-101").Message, stats.Fail.StatusCodes.Get("-101").Count));
        Assert.Equal("operation timeout", stats.Fail.StatusCodes.Get("-100").Message);
    }

    [Fact]
    public void Init_comes_first_and_clean_last_also_after_a_failed_init()
    {
        var order = new List<string>();
        var scenario = Scenario.Create("ordered", _ =>
        {
            order.Add("run");
            return Task.FromResult<IResponse>(Response.Ok());
        }).WithoutWarmUp().WithLoadSimulations(Simulation.IterationsForConstant(copies: 1, iterations: 1)).WithClean(_ =>
        {
            order.Add("clean");
            return Task.CompletedTask;
        });

        Run(scenario.WithInit(_ =>
        {
            order.Add("init");
            return Task.CompletedTask;
        }));
        Assert.Throws<InvalidOperationException>(() => Run(scenario.WithInit(_ => throw new InvalidOperationException("no database"))));

        Assert.Equal(["init", "run", "clean", "clean"], order);
    }

    [Fact]
    public void What_runs_in_warm_up_is_not_counted()
    {
        var operations = new System.Collections.Concurrent.ConcurrentBag<ScenarioOperation>();
        var scenario = Scenario.Create("warm", async context =>
        {
            operations.Add(context.ScenarioInfo.ScenarioOperation);
            await Task.Delay(20);
            return Response.Ok();
        }).WithWarmUpDuration(Second).WithLoadSimulations(Simulation.Inject(rate: 5, interval: Second, during: 2 * Second));

        var stats = Run(scenario).ScenarioStats.Get("warm");

        Assert.Equal(10, stats.Ok.Request.Count);
        Assert.Equal(10, operations.Count(operation => operation == ScenarioOperation.Bombing));
        Assert.Contains(ScenarioOperation.WarmUp, operations);
    }

    [Fact]
    public void Too_many_failures_end_the_test_early()
    {
        var scenario = Scenario.Create("failing", async _ =>
        {
            await Task.Delay(5);
            return Response.Fail(statusCode: "500");
        }).WithoutWarmUp().WithMaxFailCount(10).WithLoadSimulations(Simulation.KeepConstant(copies: 1, during: TimeSpan.FromMinutes(10)));

        var stats = Run(scenario).ScenarioStats.Get("failing");

        Assert.InRange(stats.Fail.Request.Count, 11, 12);
    }

    [Fact]
    public void A_scenario_can_stop_itself_and_the_others_go_on()
    {
        var one = Scenario.Create("one", context =>
        {
            context.StopScenario("one", "enough");
            return Task.FromResult<IResponse>(Response.Ok());
        }).WithoutWarmUp().WithLoadSimulations(Simulation.KeepConstant(copies: 1, during: TimeSpan.FromMinutes(10)));
        var other = Scenario.Create("other", _ => Task.FromResult<IResponse>(Response.Ok())).WithoutWarmUp()
            .WithLoadSimulations(Simulation.IterationsForInject(rate: 5, interval: Second, iterations: 8));

        var result = NBomberRunner.RegisterScenarios(one, other).WithoutReports().Run();

        Assert.InRange(result.ScenarioStats.Get("one").Ok.Request.Count, 1, 2);
        Assert.Equal(8, result.ScenarioStats.Get("other").Ok.Request.Count);
    }

    [Fact]
    public void Thresholds_say_what_did_not_hold_and_the_caller_sets_the_exit_code()
    {
        var scenario = Scenario.Create("judged", async context =>
        {
            await Step.Run("call", context, () => Task.FromResult(Response.Ok(customLatencyMs: 120)));
            return Response.Ok();
        }).WithoutWarmUp().WithLoadSimulations(Simulation.IterationsForConstant(copies: 1, iterations: 20)).WithThresholds(
            Threshold.Create(stats => stats.Fail.Request.Count == 0),
            Threshold.Create("call", stats => stats.Ok.Latency.Percent99 < 100),
            Threshold.Create("never", stats => stats.Ok.Request.Count == 0));

        var results = Run(scenario).Thresholds;

        Assert.Equal([false, true, true], results.Select(result => result.IsFailed));
        Assert.Contains("Percent99", results[1].CheckExpression, StringComparison.Ordinal);
        Assert.Contains("never", results[2].ExceptionMsg, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("shorter than a second", "The least is 1 s")]
    [InlineData("warm-up too long", "WithoutWarmUp")]
    [InlineData("twice", "a name of its own")]
    public void What_cannot_run_is_refused_with_the_remedy(string mistake, string remedy)
    {
        var fine = Scenario.Create("fine", _ => Task.FromResult<IResponse>(Response.Ok())).WithoutWarmUp();
        ScenarioProps[] scenarios = mistake switch
        {
            "twice" => [fine, fine],
            "warm-up too long" => [fine.WithWarmUpDuration(TimeSpan.FromMinutes(2))],
            _ => [fine.WithLoadSimulations(Simulation.KeepConstant(copies: 1, during: TimeSpan.FromMilliseconds(10)))],
        };

        var refusal = Assert.Throws<InvalidOperationException>(() => Run(scenarios));

        Assert.Contains(remedy, refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Reports_of_all_formats_lie_in_the_folder_and_show_every_step()
    {
        var folder = Directory.CreateTempSubdirectory("nbomber-tests-").FullName;
        try
        {
            var scenario = Scenario.Create("reported", async context =>
            {
                await Step.Run("fetch <b>", context, () => Task.FromResult(Response.Ok(statusCode: "200", sizeBytes: 2048, customLatencyMs: 12.5)));
                return Response.Ok();
            }).WithoutWarmUp().WithLoadSimulations(Simulation.IterationsForConstant(copies: 1, iterations: 3)).WithThresholds(Threshold.Create(stats => stats.AllFailCount == 0));

            var result = NBomberRunner.RegisterScenarios(scenario).WithTestName("a,b").WithReportFolder(folder).WithReportFileName("load").Run();

            Assert.Equal(["load.csv", "load.html", "load.md", "load.txt"], Directory.GetFiles(folder).Select(Path.GetFileName).Order());
            var csv = File.ReadAllLines(Path.Combine(folder, "load.csv"));
            Assert.StartsWith("test_suite,test_name,scenario,duration,step_name,request_count,ok,failed,rps,min,mean,max,50_percent,", csv[0], StringComparison.Ordinal);
            Assert.Contains("\"a,b\",reported,", csv[1], StringComparison.Ordinal);
            Assert.Contains("fetch <b>,3,3,0,", csv[2], StringComparison.Ordinal);
            Assert.Contains("fetch &lt;b&gt;", File.ReadAllText(Path.Combine(folder, "load.html")), StringComparison.Ordinal);
            Assert.All(result.ReportFiles, report => Assert.Contains("reported", report.ReportContent, StringComparison.Ordinal));
            Assert.Contains("| held |", File.ReadAllText(Path.Combine(folder, "load.md")), StringComparison.Ordinal);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static ScenarioStats StepsOf(bool restarts)
    {
        var scenario = Scenario.Create("steps", async context =>
        {
            await Step.Run("first", context, () => Task.FromResult(Response.Fail(statusCode: "503", message: "no")));
            await Step.Run("second", context, () => Task.FromResult(Response.Ok()));
            return Response.Ok();
        }).WithoutWarmUp().WithRestartIterationOnFail(restarts).WithLoadSimulations(Simulation.IterationsForConstant(copies: 2, iterations: 4));
        return Run(scenario).ScenarioStats.Get("steps");
    }

    private static NodeStats Run(params ScenarioProps[] scenarios) => NBomberRunner.RegisterScenarios(scenarios).WithoutReports().Run();
}
