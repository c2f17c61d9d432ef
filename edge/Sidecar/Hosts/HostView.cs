using Npgsql;

namespace RenderTrust.Sidecar.Hosts;

/// <summary>The hosts of a database as one look at its tables showed them, all at the same moment.</summary>
internal sealed class HostView
{
    private readonly List<(Guid HostId, PublishedApp App)> apps = [];
    private readonly Dictionary<string, (Guid? Owner, long Token)[]> slots = [];

    public Dictionary<Guid, PeerAddress> Hosts { get; } = [];

    /// <summary>At least one lease has run out.</summary>
    public bool HasHanging { get; private set; }

    public IReadOnlyDictionary<string, (Guid? Owner, long Token)[]> Slots => slots;

    public IEnumerable<Guid> HostsWithApp(string appId) =>
        apps.Where(entry => entry.App.IsReady && entry.App.AppId.Equals(appId, StringComparison.OrdinalIgnoreCase)).Select(entry => entry.HostId);

    public IEnumerable<Guid> HostsWithType(string type) => apps.Where(entry => entry.App.ActorTypes.Contains(type)).Select(entry => entry.HostId).Distinct();

    public IEnumerable<string> AppIds => apps.Where(entry => entry.App.IsReady).Select(entry => entry.App.AppId);

    public IEnumerable<Step> Steps(HostSchema schema) =>
    [
        new Step(schema.ReadHosts(), ReadHostsAsync),
        new Step(schema.ReadApps(), ReadAppsAsync),
        new Step(schema.ReadSlots(), ReadSlotsAsync),
    ];

    public async Task ReadSlotsAsync(NpgsqlDataReader reader)
    {
        slots.Clear();
        while (await reader.ReadAsync())
        {
            if (!slots.TryGetValue(reader.GetString(0), out var ofType))
            {
                slots[reader.GetString(0)] = ofType = new (Guid?, long)[SlotRules.Count];
            }

            ofType[reader.GetInt16(1)] = (reader.GetGuid(2), reader.GetInt64(3));
        }
    }

    private async Task ReadHostsAsync(NpgsqlDataReader reader)
    {
        while (await reader.ReadAsync())
        {
            HasHanging |= reader.GetBoolean(3);
            if (!await reader.IsDBNullAsync(1))
            {
                Hosts[reader.GetGuid(0)] = new PeerAddress(reader.GetString(1), reader.GetString(2));
            }
        }
    }

    private async Task ReadAppsAsync(NpgsqlDataReader reader)
    {
        while (await reader.ReadAsync())
        {
            apps.Add((reader.GetGuid(0), new PublishedApp(reader.GetString(1), reader.GetBoolean(2), await reader.GetFieldValueAsync<string[]>(3))));
        }
    }
}
