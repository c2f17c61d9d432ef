using System.Threading.Channels;

namespace RenderTrust.Scheduler.Overflow;

/// <summary>Lets the launcher look now: a unit went to the overflow lane, here or on another replica.</summary>
internal sealed class OverflowWake
{
    private readonly Channel<bool> signal = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    public ChannelReader<bool> Signals => signal.Reader;

    public void Wake() => signal.Writer.TryWrite(true);
}
