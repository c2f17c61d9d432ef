using System.Threading.Channels;

namespace RenderTrust.Scheduler.Placement;

/// <summary>Wakes the placer in-process: new units, or room for parked ones. Signals merge; none is lost.</summary>
internal sealed class PlacerWake
{
    private readonly Channel<bool> signal = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private int capacity;

    public ChannelReader<bool> Signals => signal.Reader;

    public void JobSubmitted() => signal.Writer.TryWrite(true);

    /// <summary>A slot, a session or a node came free: parked rows are worth another look.</summary>
    public void CapacityChanged()
    {
        Interlocked.Exchange(ref capacity, 1);
        signal.Writer.TryWrite(true);
    }

    public bool TakeCapacity() => Interlocked.Exchange(ref capacity, 0) == 1;
}
