using NBomber.Contracts;
using NBomber.Contracts.Stats;

namespace NBomber.Running;

/// <summary>What all copies of a session share.</summary>
internal interface ISession
{
    TestInfo TestInfo { get; }

    NodeInfo NodeInfo { get; }

    TimeProvider Time { get; }

    void StopScenario(string scenarioName, string reason);

    void StopCurrentTest(string reason);
}

/// <summary>One copy.</summary>
internal sealed class ScenarioContext(ISession session, ScenarioInfo info, Measurements measurements, bool restartsOnFail, CancellationToken stopped) : IScenarioContext
{
    public TestInfo TestInfo => session.TestInfo;

    public NodeInfo NodeInfo => session.NodeInfo;

    public TimeProvider Time => session.Time;

    public ScenarioInfo ScenarioInfo => info;

    public Measurements Measurements => measurements;

    public bool RestartsOnFail => restartsOnFail;

    public long InvocationNumber { get; set; }

    public Dictionary<string, object> Data { get; } = [];

    public CancellationToken ScenarioCancellationToken => stopped;

    public void StopScenario(string scenarioName, string reason) => session.StopScenario(scenarioName, reason);

    public void StopCurrentTest(string reason) => session.StopCurrentTest(reason);
}

internal sealed record InitContext(TestInfo TestInfo, ScenarioInfo ScenarioInfo, NodeInfo NodeInfo) : IScenarioInitContext;
