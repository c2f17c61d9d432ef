using System.Diagnostics;

namespace RenderTrust.Client;

/// <summary>
/// What the library does, as activities of source <c>RenderTrust.Client</c>, and the way of the current trace to the platform. Nothing is recorded, and
/// nothing sent, unless the program listens.
/// </summary>
internal static class ClientActivity
{
    public static readonly ActivitySource Source = new("RenderTrust.Client");

    public static void AddHeaders(HttpRequestMessage request)
    {
        if (Activity.Current is { Recorded: true, IdFormat: ActivityIdFormat.W3C } activity)
        {
            request.Headers.Remove("traceparent");
            request.Headers.TryAddWithoutValidation("traceparent", activity.Id);
        }
    }
}
