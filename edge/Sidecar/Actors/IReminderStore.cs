namespace RenderTrust.Sidecar.Actors;

/// <summary>A reminder that is still to fire, and until when.</summary>
internal sealed record StoredReminder(ActorCallback Callback, DateTimeOffset? ExpiresAt);

/// <summary>A reminder that was taken to be fired.</summary>
/// <param name="Version">Another one for each registration: what was registered anew is not finished by the firing of the old one.</param>
internal sealed record Reminder(
    string AppId, ActorCallback Callback, DateTimeOffset NextAt, TimeSpan? Period, int? RepeatsLeft, DateTimeOffset? ExpiresAt, int Failures, Guid Version);

/// <summary>
/// Where reminders are kept. One that fires is first pushed <see cref="Lease"/> ahead: if this host dies meanwhile, it fires again
/// then. At least once.
/// </summary>
internal interface IReminderStore
{
    static readonly TimeSpan Lease = TimeSpan.FromSeconds(30);

    /// <summary>False when it exists and may not be overwritten.</summary>
    Task<bool> SaveAsync(string appId, ActorCallback callback, ActorSchedule schedule, bool overwrite, CancellationToken cancellationToken);

    /// <param name="actorId">Null for those of every actor of the type.</param>
    /// <param name="name">Null for every one.</param>
    Task<IReadOnlyList<StoredReminder>> FindAsync(string appId, string type, string? actorId, string? name, CancellationToken cancellationToken);

    /// <param name="actorId">Null for those of every actor of the type.</param>
    /// <param name="name">Null for every one.</param>
    Task DeleteAsync(string appId, string type, string? actorId, string? name, CancellationToken cancellationToken);

    /// <summary>Takes what is due for the types that are hosted now.</summary>
    Task<IReadOnlyList<Reminder>> TakeDueAsync(
        IReadOnlyList<(string AppId, string Type)> hosted, DateTimeOffset now, int countMax, CancellationToken cancellationToken);

    Task<DateTimeOffset?> NextDueAsync(IReadOnlyList<(string AppId, string Type)> hosted, CancellationToken cancellationToken);

    /// <summary>Writes what comes after a firing, unless someone has registered it anew meanwhile. A null next removes it.</summary>
    Task FinishAsync(Reminder reminder, DateTimeOffset? next, int? repeatsLeft, int failures, CancellationToken cancellationToken);
}
