namespace RenderTrust.Cli.Platform.Brokers;

/// <summary>What a change of broker measured; the answer of <c>broker swap --json</c>.</summary>
/// <param name="UndeliveredBefore">Events that the old broker had and some service had not, when the outboxes were held back.</param>
/// <param name="DrainMilliseconds">Until it had handed over all of them.</param>
/// <param name="UndeliveredAfter">Counted once more with every service stopped; the services move only when it is 0.</param>
/// <param name="HeldBackMilliseconds">For how long facts waited in the database.</param>
/// <param name="FactsHeldBack">How many waited there when the services were back.</param>
/// <param name="FactsWaiting">How many of them have not left over the new broker yet.</param>
/// <param name="JobsOpen">Submitted or running when the outboxes were held back.</param>
/// <param name="JobsEnded">How many of them have ended meanwhile; the rest goes on.</param>
/// <param name="JobsLost">How many of them the scheduler does not know any more.</param>
internal sealed record BrokerSwap(
    string From, string To, long UndeliveredBefore, long DrainMilliseconds, long UndeliveredAfter, long HeldBackMilliseconds, long FactsHeldBack, long FactsWaiting,
    long JobsOpen, long JobsEnded, long JobsLost);
