using System.Threading.Channels;

namespace RenderTrust.Scheduler.Supervision;

/// <summary>Lets supervision look now: there is something to revoke.</summary>
internal sealed class SupervisorWake
{
    private readonly Channel<bool> signal = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });

    public ChannelReader<bool> Signals => signal.Reader;

    public void Wake() => signal.Writer.TryWrite(true);
}
