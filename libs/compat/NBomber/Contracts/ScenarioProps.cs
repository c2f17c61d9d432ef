using System.Collections.Immutable;
using NBomber.CSharp;

namespace NBomber.Contracts;

/// <summary>A scenario's description; made by <see cref="Scenario"/>.</summary>
public sealed record ScenarioProps
{
    internal ScenarioProps()
    {
    }

    public string ScenarioName { get; internal init; } = "";

    internal Func<IScenarioContext, Task<IResponse>> RunIteration { get; init; } = _ => Task.FromResult<IResponse>(Response.Ok());

    internal Func<IScenarioInitContext, Task>? InitOnce { get; init; }

    internal Func<IScenarioInitContext, Task>? CleanOnce { get; init; }

    internal TimeSpan WarmUp { get; init; } = TimeSpan.FromSeconds(30);

    internal ImmutableArray<LoadSimulation> Simulations { get; init; } = [Simulation.KeepConstant(copies: 1, during: TimeSpan.FromMinutes(1))];

    internal ImmutableArray<Threshold> Checks { get; init; } = [];

    internal bool RestartsOnFail { get; init; } = true;

    internal int MostFailures { get; init; } = 5000;
}
