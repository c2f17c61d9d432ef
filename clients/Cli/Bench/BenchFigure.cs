namespace RenderTrust.Cli.Bench;

/// <summary>One measured figure beside its peer or limit.</summary>
/// <param name="Better"><c>lower</c> or <c>higher</c>.</param>
/// <param name="Peer">What it is compared with.</param>
/// <param name="Ratio">Value by peer.</param>
/// <param name="Target">What the value must reach; of <c>a2aGetTask</c>, what the ratio must reach. Null: reported only.</param>
internal sealed record BenchFigure(string Name, double Value, string Unit, string Better, string Peer, double PeerValue, double Ratio, double? Target, bool Ok)
{
    public static BenchFigure Lower(string name, double value, string unit, string peer, double peerValue, double? target) =>
        new(name, Round(value), unit, "lower", peer, Round(peerValue), Round(value / peerValue), target, target is not { } most || value <= most);

    public static BenchFigure Higher(string name, double value, string unit, string peer, double peerValue, double target) =>
        new(name, Round(value), unit, "higher", peer, Round(peerValue), Round(value / peerValue), target, value >= target);

    public static BenchFigure HigherByRatio(string name, double value, string unit, string peer, double peerValue, double? target) =>
        new(name, Round(value), unit, "higher", peer, Round(peerValue), Round(value / peerValue), target, target is not { } least || value / peerValue >= least);

    private static double Round(double value) => Math.Abs(value) >= 100 ? Math.Round(value) : Math.Round(value, 3);
}
