using NBomber.Contracts;

namespace NBomber.CSharp;

/// <summary>
/// Courses of load. <c>Constant</c> is the closed model: copies that run one iteration after the other. <c>Inject</c> is the open model: so many new
/// copies each interval, spread over it at random, however long the earlier ones take.
/// </summary>
public static class Simulation
{
    /// <summary>From as many copies as ran before to <paramref name="copies"/>, in a straight line.</summary>
    public static LoadSimulation RampingConstant(int copies, TimeSpan during) => new(SimulationKind.RampingConstant) { Copies = copies, During = during };

    public static LoadSimulation KeepConstant(int copies, TimeSpan during) => new(SimulationKind.KeepConstant) { Copies = copies, During = during };

    /// <summary>From the rate before to <paramref name="rate"/>, in a straight line.</summary>
    public static LoadSimulation RampingInject(int rate, TimeSpan interval, TimeSpan during) =>
        new(SimulationKind.RampingInject) { Rate = rate, Interval = interval, During = during };

    public static LoadSimulation Inject(int rate, TimeSpan interval, TimeSpan during) => new(SimulationKind.Inject) { Rate = rate, Interval = interval, During = during };

    /// <summary>At least <paramref name="minRate"/> and less than <paramref name="maxRate"/> each interval.</summary>
    public static LoadSimulation InjectRandom(int minRate, int maxRate, TimeSpan interval, TimeSpan during) =>
        new(SimulationKind.InjectRandom) { LeastRate = minRate, Rate = maxRate, Interval = interval, During = during };

    /// <summary>No load; the time does not count towards rates.</summary>
    public static LoadSimulation Pause(TimeSpan during) => new(SimulationKind.Pause) { During = during };

    /// <summary>Ends after so many iterations of all copies together.</summary>
    public static LoadSimulation IterationsForConstant(int copies, int iterations) => new(SimulationKind.IterationsForConstant) { Copies = copies, Iterations = iterations };

    /// <summary>Ends after so many iterations.</summary>
    public static LoadSimulation IterationsForInject(int rate, TimeSpan interval, int iterations) =>
        new(SimulationKind.IterationsForInject) { Rate = rate, Interval = interval, Iterations = iterations };
}
