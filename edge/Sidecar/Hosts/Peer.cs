namespace RenderTrust.Sidecar.Hosts;

/// <summary>How other hosts reach this one, and what they show when they do.</summary>
/// <param name="Address">Scheme, host and port.</param>
/// <param name="Secret">Only who reads the database knows it.</param>
internal sealed record PeerAddress(string Address, string Secret);

/// <summary>Another host on the same database.</summary>
internal sealed class Peer : IDisposable
{
    private readonly CancellationTokenSource gone = new();

    public Peer(PeerAddress address)
    {
        Address = address;
        // Kept apart from its source, which does not outlive the peer; the token does.
        Gone = gone.Token;
    }

    public PeerAddress Address { get; }

    /// <summary>Ends calls that wait for a host which hangs or is cut off.</summary>
    public CancellationToken Gone { get; }

    /// <summary>Others take over what it owned.</summary>
    public void Dispose()
    {
        gone.Cancel();
        gone.Dispose();
    }
}
