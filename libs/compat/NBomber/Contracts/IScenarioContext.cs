using NBomber.Contracts.Stats;

namespace NBomber.Contracts;

/// <summary>What one copy of a scenario sees of the session.</summary>
public interface IScenarioContext
{
    TestInfo TestInfo { get; }

    ScenarioInfo ScenarioInfo { get; }

    NodeInfo NodeInfo { get; }

    /// <summary>Of this copy, from 1.</summary>
    long InvocationNumber { get; }

    /// <summary>Shared by the steps of an iteration; emptied after it.</summary>
    Dictionary<string, object> Data { get; }

    /// <summary>Cancelled when the scenario is stopped or its time is over.</summary>
    CancellationToken ScenarioCancellationToken { get; }

    void StopScenario(string scenarioName, string reason);

    void StopCurrentTest(string reason);
}

/// <summary>What a scenario's init and clean see.</summary>
public interface IScenarioInitContext
{
    TestInfo TestInfo { get; }

    ScenarioInfo ScenarioInfo { get; }

    NodeInfo NodeInfo { get; }
}

public enum ScenarioOperation
{
    Init = 0,
    Clean = 1,
    WarmUp = 2,
    Bombing = 3,
}

/// <summary>Of one copy. Copies are used again, so the number is a place in the pool and nobody's identity.</summary>
public sealed class ScenarioInfo
{
    internal ScenarioInfo()
    {
    }

    public string InstanceId { get; internal init; } = "";

    public int InstanceNumber { get; internal init; }

    public string ScenarioName { get; internal init; } = "";

    /// <summary>As planned.</summary>
    public TimeSpan ScenarioDuration { get; internal init; }

    public ScenarioOperation ScenarioOperation { get; internal init; }
}
