namespace NBomber.Contracts;

internal enum SimulationKind
{
    RampingConstant,
    KeepConstant,
    RampingInject,
    Inject,
    InjectRandom,
    Pause,
    IterationsForConstant,
    IterationsForInject,
}

/// <summary>One stretch of load; made by <see cref="NBomber.CSharp.Simulation"/>.</summary>
public sealed class LoadSimulation
{
    internal LoadSimulation(SimulationKind kind) => Kind = kind;

    internal SimulationKind Kind { get; }

    internal int Copies { get; init; }

    internal int LeastRate { get; init; }

    internal int Rate { get; init; }

    internal int Iterations { get; init; }

    internal TimeSpan Interval { get; init; }

    /// <summary>Zero where iterations end it.</summary>
    internal TimeSpan During { get; init; }

    internal bool IsOpen => Kind is SimulationKind.RampingInject or SimulationKind.Inject or SimulationKind.InjectRandom or SimulationKind.IterationsForInject;

    internal bool EndsByCount => Kind is SimulationKind.IterationsForConstant or SimulationKind.IterationsForInject;
}
