namespace RenderTrust.Gateway.A2A;

/// <summary>When a request came in, on the monotonic clock and on the wall clock. Start of the submit budget.</summary>
internal sealed record Arrival(long Timestamp, DateTimeOffset At)
{
    /// <summary>Goes first in the pipeline, so that signing in is part of what is measured.</summary>
    public static void Use(IApplicationBuilder app)
    {
        var time = app.ApplicationServices.GetRequiredService<TimeProvider>();
        app.Use((http, next) =>
        {
            http.Features.Set(new Arrival(time.GetTimestamp(), time.GetUtcNow()));
            return next(http);
        });
    }
}
