using System.Globalization;
using System.Text.Json;
using Google.Protobuf;
using RenderTrust.Agent.Scratch;
using RenderTrust.EdgeProtocol;

namespace RenderTrust.Agent.Outbox;

/// <summary>A result waiting for its acknowledgement, with the sealed blobs that must be uploaded before it.</summary>
internal sealed record OutboxEntry(long Sequence, string Folder, string BlobToken, UnitResult Result)
{
    public string BlobFile(string sha256) => Path.Combine(Folder, sha256);

    /// <summary>Outputs whose ciphertext still lies here; uploaded ones are removed one by one.</summary>
    public IEnumerable<Output> PendingBlobs => Result.Outputs.Where(output => File.Exists(BlobFile(output.BlobSha256)));
}

/// <summary>
/// Results on disk, in order. A result counts from the moment its folder is renamed into place: from then on it is delivered,
/// also after a power cut, until the hub acknowledges it. Only ciphertext and hashes are in it.
/// </summary>
internal sealed class ResultOutbox
{
    private readonly string _folder;
    private readonly Lock _lock = new();
    private readonly SortedDictionary<long, OutboxEntry> _entries = [];
    private long _last;

    public ResultOutbox(string stateFolder)
    {
        _folder = Path.Combine(Path.GetFullPath(stateFolder), "outbox");
        Directory.CreateDirectory(_folder, Modes.Private);
        foreach (var folder in Directory.GetDirectories(_folder))
        {
            if (long.TryParse(Path.GetFileName(folder), CultureInfo.InvariantCulture, out var sequence))
            {
                _entries.Add(sequence, Read(sequence, folder));
                _last = Math.Max(_last, sequence);
            }
            else
            {
                // A folder that never got its number: the agent died before the result counted.
                Directory.Delete(folder, recursive: true);
            }
        }
    }

    /// <summary>Raised by <see cref="Announce"/>.</summary>
    public event Action? Added;

    public IReadOnlyList<OutboxEntry> Entries
    {
        get
        {
            lock (_lock)
            {
                return [.. _entries.Values];
            }
        }
    }

    /// <summary>A folder for the blobs of a result in the making; wiped at the next start if it is never added.</summary>
    public string Stage(string attemptId)
    {
        var folder = Path.Combine(_folder, "part-" + attemptId);
        if (Directory.Exists(folder))
        {
            Directory.Delete(folder, recursive: true);
        }

        return Directory.CreateDirectory(folder, Modes.Private).FullName;
    }

    /// <summary>Makes a staged result durable and hands it to delivery.</summary>
    public async Task AddAsync(string stagedFolder, string blobToken, UnitResult result, CancellationToken cancellationToken)
    {
        var content = JsonSerializer.SerializeToUtf8Bytes(new Stored(blobToken, result.ToByteArray()));
        await using (var file = new FileStream(Path.Combine(stagedFolder, "result.json"), new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write, UnixCreateMode = Modes.PrivateFile }))
        {
            await file.WriteAsync(content, cancellationToken);
            Fsync.File(file);
        }

        lock (_lock)
        {
            var sequence = ++_last;
            var folder = Path.Combine(_folder, sequence.ToString("D12", CultureInfo.InvariantCulture));
            Directory.Move(stagedFolder, folder);
            Fsync.Folder(folder);
            Fsync.Folder(_folder);
            _entries.Add(sequence, new OutboxEntry(sequence, folder, blobToken, result));
        }
    }

    /// <summary>Wakes delivery. Apart from adding, so that a slot is free before the hub can hear of its result and fill it again.</summary>
    public void Announce() => Added?.Invoke();

    /// <summary>Forgets the result of one attempt; false when there was none.</summary>
    public bool Remove(string attemptId, long fencingToken)
    {
        OutboxEntry? entry;
        lock (_lock)
        {
            entry = _entries.Values.FirstOrDefault(candidate => candidate.Result.AttemptId == attemptId && candidate.Result.FencingToken == fencingToken);
            if (entry is null)
            {
                return false;
            }

            _entries.Remove(entry.Sequence);
        }

        Directory.Delete(entry.Folder, recursive: true);
        return true;
    }

    private static OutboxEntry Read(long sequence, string folder)
    {
        var stored = JsonSerializer.Deserialize<Stored>(File.ReadAllBytes(Path.Combine(folder, "result.json")))
            ?? throw new InvalidDataException($"The stored result in '{folder}' is empty. Remove that folder to go on without it.");
        return new OutboxEntry(sequence, folder, stored.BlobToken, UnitResult.Parser.ParseFrom(stored.Frame));
    }

    private sealed record Stored(string BlobToken, byte[] Frame);
}
