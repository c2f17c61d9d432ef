using Microsoft.Extensions.Options;
using Npgsql;
using RenderTrust.Contracts;
using RenderTrust.Scheduler.Jobs;
using RenderTrust.Scheduler.Placement;

namespace RenderTrust.Scheduler.Nodes;

/// <summary>
/// The nodes as placement sees them, in memory. Only a picture: it may be stale, and then the lease transaction refuses.
/// Kept fresh by what passes through this process, and rebuilt from the tables with every poll.
/// </summary>
internal sealed class Fleet(NpgsqlDataSource dataSource, TimeProvider time, IOptions<SchedulerOptions> options, IOptions<PlacementOptions> placement)
{
    private readonly Lock gate = new();
    private readonly Dictionary<NodeId, Entry> nodes = [];
    private long capacityVersion;
    private long changes;
    private volatile bool loaded;

    /// <summary>Rises whenever room may have come.</summary>
    public long CapacityVersion => Interlocked.Read(ref capacityVersion);

    public IReadOnlyList<FleetNode> Snapshot()
    {
        var oldest = time.GetUtcNow().AddSeconds(-options.Value.NodeLostAfterSeconds);
        lock (gate)
        {
            return [.. nodes.Values.Select(entry => entry.ToNode(oldest))];
        }
    }

    /// <summary>Free slots over all live nodes.</summary>
    public int FreeSlots() => Snapshot().Where(node => node.Live).Sum(node => Math.Max(0, node.FreeSlots));

    public bool Knows(NodeId nodeId)
    {
        lock (gate)
        {
            return nodes.ContainsKey(nodeId);
        }
    }

    /// <summary>Sets a slot aside while a lease is being made, so that units placed at the same time do not all see it free.</summary>
    public bool TryReserve(NodeId nodeId, long memoryBytes)
    {
        lock (gate)
        {
            if (!nodes.TryGetValue(nodeId, out var entry) || entry.Free <= 0 || entry.Capabilities.MemoryBytes - entry.LeasedMemoryBytes < memoryBytes)
            {
                return false;
            }

            entry.Reserved++;
            entry.ReservedMemoryBytes += memoryBytes;
            return true;
        }
    }

    /// <summary>Ends a reservation; with the slot that was leased, or none.</summary>
    public void Settle(NodeId nodeId, int? leasedSlot, long memoryBytes)
    {
        lock (gate)
        {
            if (nodes.TryGetValue(nodeId, out var entry))
            {
                entry.Reserved = Math.Max(0, entry.Reserved - 1);
                entry.ReservedMemoryBytes = Math.Max(0, entry.ReservedMemoryBytes - memoryBytes);
                if (leasedSlot is { } slot)
                {
                    entry.Busy[slot] = memoryBytes;
                    entry.ChangedAt = ++changes;
                }
            }
        }
    }

    public void Release(NodeId nodeId, int slot)
    {
        lock (gate)
        {
            if (nodes.TryGetValue(nodeId, out var entry))
            {
                entry.Busy.Remove(slot);
                entry.ChangedAt = ++changes;
                Interlocked.Increment(ref capacityVersion);
            }
        }
    }

    public void SessionOpened(OpenNodeSessionRequest request, UnitLane lane, long epoch, Dictionary<int, long> busySlots)
    {
        lock (gate)
        {
            var entry = nodes.TryGetValue(request.NodeId, out var known) ? known : nodes[request.NodeId] = new Entry { NodeId = request.NodeId };
            entry.Name = request.Name;
            entry.Owner = request.OwnerTenantId;
            entry.KeyId = request.RecipientKeyId;
            entry.Lane = lane;
            entry.Capabilities = request.Capabilities;
            entry.HubAppId = request.HubAppId;
            entry.Epoch = epoch;
            entry.Online = true;
            entry.SeenAt = time.GetUtcNow();
            entry.Busy = busySlots;
            entry.ChangedAt = ++changes;
            Interlocked.Increment(ref capacityVersion);
        }
    }

    public void SessionClosed(NodeId nodeId, long epoch)
    {
        lock (gate)
        {
            if (nodes.TryGetValue(nodeId, out var entry) && entry.Epoch == epoch)
            {
                entry.Online = false;
                entry.ChangedAt = ++changes;
            }
        }
    }

    /// <summary>Its hub knows nothing of the session: no leases until a heartbeat of it, or a new session, says otherwise.</summary>
    public void Doubt(NodeId nodeId, long epoch)
    {
        lock (gate)
        {
            if (nodes.TryGetValue(nodeId, out var entry) && entry.Epoch == epoch)
            {
                entry.DoubtedEpoch = epoch;
            }
        }
    }

    /// <returns>True when the node was not live before: news for the placer.</returns>
    public bool Heartbeat(NodeHeartbeat heartbeat)
    {
        var now = time.GetUtcNow();
        lock (gate)
        {
            if (!nodes.TryGetValue(heartbeat.NodeId, out var entry) || entry.Epoch != heartbeat.Epoch)
            {
                return false;
            }

            if (!entry.Online)
            {
                // The session was closed; a beat that was still under way does not open it again.
                return false;
            }

            var wasLive = entry.IsLive(now.AddSeconds(-options.Value.NodeLostAfterSeconds));
            entry.DoubtedEpoch = 0;
            entry.SeenAt = now;
            if (heartbeat.RoundTripMs > 0 && double.IsFinite(heartbeat.RoundTripMs))
            {
                // Smoothed: one slow echo says little about the way to the node.
                entry.LatencyMs = entry.LatencyMs is { } before ? (0.8 * before) + (0.2 * heartbeat.RoundTripMs) : heartbeat.RoundTripMs;
            }

            return !wasLive;
        }
    }

    public double? LatencyOf(NodeId nodeId)
    {
        lock (gate)
        {
            return nodes.TryGetValue(nodeId, out var entry) ? entry.LatencyMs : null;
        }
    }

    /// <summary>Reads the tables unless that was done since the start: an empty picture would say that no node exists.</summary>
    public Task EnsureLoadedAsync(CancellationToken cancellationToken) => loaded ? Task.CompletedTask : RefreshAsync(cancellationToken);

    /// <summary>Reads nodes, reserved slots and recent earnings anew.</summary>
    public async Task RefreshAsync(CancellationToken cancellationToken)
    {
        long before;
        lock (gate)
        {
            before = changes;
        }

        await using var batch = dataSource.CreateBatch();
        batch.Add(
            """
            SELECT node_id, owner_tenant_id, name, recipient_key_id, capabilities::text, epoch, hub_app_id, status, seen_at, latency_ms,
                ARRAY(SELECT slot FROM attempts a WHERE a.node_id = n.node_id AND a.status IN ('offered', 'running', 'revoking', 'lost') ORDER BY slot),
                ARRAY(SELECT memory_bytes FROM attempts a JOIN jobs j USING (job_id)
                    WHERE a.node_id = n.node_id AND a.status IN ('offered', 'running', 'revoking', 'lost') ORDER BY slot),
                lane
            FROM nodes n
            """);
        batch.Add(
            "SELECT node_id, sum(node_share_microcredits)::float8 FROM attempts WHERE status = 'completed' AND ended_at >= $1 GROUP BY node_id",
            time.GetUtcNow().AddHours(-placement.Value.EarningsWindowHours));
        await using var reader = await batch.ExecuteReaderAsync(cancellationToken);
        var read = new List<Entry>();
        while (await reader.ReadAsync(cancellationToken))
        {
            read.Add(new Entry
            {
                NodeId = new(reader.GetGuid(0)),
                Owner = new(reader.GetGuid(1)),
                Name = reader.GetString(2),
                KeyId = reader.GetString(3),
                Capabilities = reader.Json<NodeCapabilities>(4)!,
                Epoch = reader.GetInt64(5),
                HubAppId = reader.Text(6) ?? "",
                Online = reader.GetString(7) != "offline",
                SeenAt = reader.Instant(8),
                LatencyMs = reader.Double(9),
                Busy = reader.Ints(10).Zip(reader.Longs(11)).ToDictionary(pair => pair.First, pair => pair.Second),
                Lane = SqlNames.Parse<UnitLane>(reader.GetString(12)),
            });
        }

        await reader.NextResultAsync(cancellationToken);
        var earned = new Dictionary<NodeId, double>();
        while (await reader.ReadAsync(cancellationToken))
        {
            earned[new(reader.GetGuid(0))] = reader.Double(1) ?? 0;
        }

        var total = earned.Values.Sum();
        lock (gate)
        {
            foreach (var entry in read)
            {
                entry.EarningsShare = total > 0 && earned.TryGetValue(entry.NodeId, out var share) ? share / total : 0;
                if (nodes.TryGetValue(entry.NodeId, out var known))
                {
                    entry.Reserved = known.Reserved;
                    entry.ReservedMemoryBytes = known.ReservedMemoryBytes;
                    entry.DoubtedEpoch = known.DoubtedEpoch;
                    if (known.Epoch > entry.Epoch || (known.Epoch == entry.Epoch && known.ChangedAt > before))
                    {
                        // A session opened, or a slot was taken or freed, while the rows were read; the next refresh will agree.
                        known.EarningsShare = entry.EarningsShare;
                        continue;
                    }

                    if (known.Epoch == entry.Epoch && known.SeenAt > entry.SeenAt)
                    {
                        entry.SeenAt = known.SeenAt;
                        entry.LatencyMs = known.LatencyMs ?? entry.LatencyMs;
                    }
                }

                nodes[entry.NodeId] = entry;
            }

            loaded = true;
        }
    }

    private sealed class Entry
    {
        public required NodeId NodeId { get; init; }

        public TenantId Owner { get; set; }

        public string Name { get; set; } = "";

        public string KeyId { get; set; } = "";

        public UnitLane Lane { get; set; }

        public NodeCapabilities Capabilities { get; set; } = null!;

        public long Epoch { get; set; }

        public string HubAppId { get; set; } = "";

        /// <summary>Its session is open; it is live if it was also seen lately.</summary>
        public bool Online { get; set; }

        public DateTimeOffset SeenAt { get; set; }

        public double? LatencyMs { get; set; }

        public double EarningsShare { get; set; }

        /// <summary>The slots that attempts reserve, with the memory that each may take.</summary>
        public Dictionary<int, long> Busy { get; set; } = [];

        public int Reserved { get; set; }

        public long ReservedMemoryBytes { get; set; }

        public long LeasedMemoryBytes => Busy.Values.Sum() + ReservedMemoryBytes;

        /// <summary>When its slots or session changed here, counted over all nodes.</summary>
        public long ChangedAt { get; set; }

        public int Free => Capabilities.Slots - Busy.Count - Reserved;

        public long DoubtedEpoch { get; set; }

        public bool IsLive(DateTimeOffset oldest) => Online && SeenAt >= oldest && DoubtedEpoch != Epoch;

        public FleetNode ToNode(DateTimeOffset oldest) =>
            new(NodeId, Name, Owner, KeyId, Capabilities, IsLive(oldest), Epoch, HubAppId, LatencyMs, EarningsShare, Free, LeasedMemoryBytes, Lane);
    }
}
